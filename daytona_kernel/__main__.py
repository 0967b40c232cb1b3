"""The program that Jupyter starts: `python -m daytona_kernel -f {connection_file}`.

The slowest parts start first, and run while the rest is imported: the embedded server, in its own process;
then the sandbox and its interpreter; then the kernel.
"""

import sys

from .import_path import leave_out_current_directory

leave_out_current_directory()  # before everything that the notebook's folder could imitate

import gc

gc.disable()  # a start makes no garbage, and looking for it takes a tenth of the start
# httpx does without its command line, which imports click, pygments and rich.
sys.modules["httpx._main"] = None  # type: ignore[assignment]
from contextlib import suppress

from .client import embedded
from .config import resolve
from .errors import DaytonaError
from .kernel.host.handover import HandoverFile
from .kernel.interpreter_options import split
from .wire import signals
from .wire.postponed_packages import postpone


def start_server(connection_file: str) -> None:
    """Attach to the embedded server of the previous kernel, or start one, if the settings need one."""
    try:
        if not resolve().embedded:
            return
    except DaytonaError:
        return  # the first cell shows this error
    server = HandoverFile(connection_file).read().server
    if server is None or embedded.attach(**server) is None:
        with suppress(DaytonaError):  # the first cell shows this one, too
            embedded.start()


def main() -> None:
    """Start everything, each part as early as possible."""
    if "-f" not in sys.argv[:-1]:
        sys.exit("usage: python -m daytona_kernel -f CONNECTION_FILE  (Jupyter runs this command)")
    signals.reset()
    connection_file = sys.argv[sys.argv.index("-f") + 1]
    start_server(connection_file)

    from .kernel import startup

    own_words, options = split(sys.argv[1:])
    started = startup.start(connection_file, options)

    for package in ("IPython", "ipykernel", "jupyter_client"):
        postpone(package)
    from .kernel.app import main as run_kernel

    run_kernel(started, own_words)


if __name__ == "__main__":
    main()
