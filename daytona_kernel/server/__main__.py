"""`python -m daytona_kernel.server --embedded`: the server that a kernel or `Daytona()` starts."""

from __future__ import annotations

import json
import os
import sys

from .box.bubblewrap import Trial
from .box.isolation import ISOLATION_VARIABLE
from .limits import Timings

_USAGE = """usage: python -m daytona_kernel.server --embedded [TIMINGS]

TIMINGS is a JSON object of seconds, for tests; its keys are the fields of limits.Timings.
"""


def main() -> int:
    """Serve until the last lease ends. Return the exit status."""
    match sys.argv[1:]:
        case ["--embedded"]:
            timings = Timings()
        case ["--embedded", seconds]:
            timings = Timings(**json.loads(seconds))
        case _:
            sys.stderr.write(_USAGE)
            return 2
    if os.getpid() != os.getsid(0):
        os.setsid()  # a Ctrl-C in the terminal of the starter must not end the server
    # The trial runs while the rest is imported.
    trial = None if os.environ.get(ISOLATION_VARIABLE) == "none" else Trial()

    from .embedded import run_embedded

    return run_embedded(trial, timings)


if __name__ == "__main__":
    sys.exit(main())
