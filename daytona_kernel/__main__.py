"""`python -m daytona_kernel -f {connection_file}`: what Jupyter starts.

What takes longest comes first, and the rest is imported meanwhile: the embedded server, which is a
process of its own; then the sandbox and its interpreter; then the kernel.
"""

from __future__ import annotations

import sys

from .client import embedded
from .config import resolve
from .errors import DaytonaError
from .kernel.host.handover import HandoverFile


def begin_server(connection_file: str) -> None:
    """Attach to the embedded server of the kernel before this one, or start one, where it is needed."""
    try:
        if not resolve().embedded:
            return
    except DaytonaError:
        return  # said in the first cell
    server = HandoverFile(connection_file).read().server
    if server is None or embedded.attach(**server) is None:
        embedded.start()


def main() -> None:
    """Start everything, each as early as it can be."""
    if "-f" not in sys.argv[:-1]:
        sys.exit("usage: python -m daytona_kernel -f CONNECTION_FILE  (Jupyter starts it so)")
    connection_file = sys.argv[sys.argv.index("-f") + 1]
    begin_server(connection_file)

    from .kernel.startup import begin

    startup = begin(connection_file)

    from .kernel.app import main as run_kernel

    run_kernel(startup)


if __name__ == "__main__":
    main()
