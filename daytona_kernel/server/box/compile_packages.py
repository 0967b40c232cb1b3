"""A program that compiles Python packages, with the lowest priority.

Usage: compile_packages.py PARENT STAMPS DIRECTORY...

It ends with the process PARENT. The file STAMPS notes the state of each directory that is compiled, so that
the next server has nothing to do. It uses the standard library only, and starts without packages.
"""

from __future__ import annotations

import compileall
import ctypes
import json
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Compile the directories that have changed since they were compiled."""
    parent, stamps, *directories = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        return
    # Not SCHED_IDLE: on a busy machine, a killed process with that policy gets no time to end.
    os.nice(19)
    done = _read(stamps)
    for directory in directories:
        if done.get(directory) != os.stat(directory).st_ctime_ns:
            compileall.compile_dir(directory, quiet=2)
            done[directory] = os.stat(directory).st_ctime_ns
            _write(stamps, done)


def _read(stamps: str) -> dict[str, int]:
    try:
        with open(stamps, encoding="utf-8") as file:
            done = json.load(file)
    except (OSError, ValueError):
        return {}
    return done if isinstance(done, dict) else {}


def _write(stamps: str, done: dict[str, int]) -> None:
    new = f"{stamps}.{os.getpid()}"
    with open(new, "w", encoding="utf-8") as file:
        json.dump(
            {directory: changed for directory, changed in done.items() if os.path.isdir(directory)}, file
        )
    os.replace(new, stamps)


if __name__ == "__main__":
    main()
