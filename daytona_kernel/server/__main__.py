"""`python -m daytona_kernel.server --embedded`: the server that a kernel or `Daytona()` starts for itself."""

from __future__ import annotations

import os
import sys

from daytona_kernel.server.bubblewrap import Trial


def main() -> int:
    if sys.argv[1:] != ["--embedded"]:
        print("usage: python -m daytona_kernel.server --embedded", file=sys.stderr)
        return 2
    if os.getpid() != os.getsid(0):
        os.setsid()  # a Ctrl-C that is meant for who started us does not reach us
    trial = Trial()  # it runs while the rest is being imported

    from daytona_kernel.server.run import run_embedded

    run_embedded(trial)
    return 0


if __name__ == "__main__":
    sys.exit(main())
