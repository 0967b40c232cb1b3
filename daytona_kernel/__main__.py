"""`python -m daytona_kernel -f {connection_file}`: what Jupyter starts.

The embedded server takes as long to start as the kernel does, so its start comes first, before
anything else is imported: at once with the imports, it costs the first cell nothing.
"""

from __future__ import annotations

import sys

from .client import embedded
from .config import resolve
from .errors import DaytonaError
from .kernel.record import RecordFile


def begin_server() -> None:
    """Attach to the embedded server of the kernel before this one, or start one, where it is needed."""
    try:
        if not resolve().embedded:
            return
    except DaytonaError:
        return  # said in the first cell
    server = RecordFile(sys.argv[sys.argv.index("-f") + 1]).read().server if "-f" in sys.argv else None
    if server is None or embedded.attach(**server) is None:
        embedded.start()


begin_server()

from .kernel.app import main  # noqa: E402

main()
