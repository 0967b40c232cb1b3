"""`python -m daytona_kernel.server --embedded`: the server that a kernel or `Daytona()` starts for itself."""

from __future__ import annotations

import os
import sys

from .box.bubblewrap import Trial
from .box.isolation import ISOLATION_VARIABLE


def main() -> int:
    if sys.argv[1:] != ["--embedded"]:
        print("usage: python -m daytona_kernel.server --embedded", file=sys.stderr)
        return 2
    if os.getpid() != os.getsid(0):
        os.setsid()  # a Ctrl-C that is meant for who started us does not reach us
    # It runs while the rest is being imported.
    trial = None if os.environ.get(ISOLATION_VARIABLE) == "none" else Trial()

    from .embedded import run_embedded

    return run_embedded(trial)


if __name__ == "__main__":
    sys.exit(main())
