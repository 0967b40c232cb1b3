"""`python -m daytona_kernel.server --embedded`: the server that a kernel or `Daytona()` starts.

With `--sweep`, it removes the directories of servers that were killed.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from ..wire import signals
from ..wire.conventions import ISOLATION_VARIABLE, NETWORK_VARIABLE, PROFILE_VARIABLE
from .box.bubblewrap import Trial
from .box.network import NETWORKS, choose_network
from .limits import Timings
from .toolbox.profile import OWN, PROFILES

_USAGE = """usage: python -m daytona_kernel.server --embedded [TIMINGS] [--mount MODE FOLDER] | --sweep

TIMINGS is a JSON object of seconds, for tests; its keys are the fields of limits.Timings.
"""

_MOUNT_WORDS = 3


def main() -> int:
    """Serve until the last lease ends, or sweep. Return the exit status."""
    gc.disable()  # a start makes no garbage, and looking for it takes a tenth of the start
    signals.reset()
    words, mount = sys.argv[1:], None
    if len(words) > _MOUNT_WORDS and words[-_MOUNT_WORDS] == "--mount":
        mount, words = (words[-2], words[-1]), words[:-_MOUNT_WORDS]
    match words:
        case ["--embedded"]:
            timings = Timings()
        case ["--embedded", seconds]:
            timings = Timings(**json.loads(seconds))
        case ["--sweep"]:
            from .state_directory import sweep

            return 0 if sweep() else 1
        case _:
            sys.stderr.write(_USAGE)
            return 2
    if os.getpid() != os.getsid(0):
        os.setsid()  # a Ctrl-C in the terminal of the starter must not end the server
    # The trial runs while the rest is imported.
    network = os.environ.get(NETWORK_VARIABLE) or "auto"
    if network not in NETWORKS:
        sys.stderr.write(
            f"{NETWORK_VARIABLE}={network} is not valid; use {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}\n"
        )
        return 1
    profile = os.environ.get(PROFILE_VARIABLE) or OWN.name
    if profile not in PROFILES:
        sys.stderr.write(f"{PROFILE_VARIABLE}={profile} is not valid; use {' or '.join(PROFILES)}\n")
        return 1
    is_tried = os.environ.get(ISOLATION_VARIABLE) not in ("none", "landlock")
    trial = Trial(choose_network(network)) if is_tried else None

    from .embedded import run_embedded

    return run_embedded(trial, timings, PROFILES[profile], mount)


if __name__ == "__main__":
    sys.exit(main())
