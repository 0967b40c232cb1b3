"""Isolation by bubblewrap: its options and a test of it.

A sandbox has processes of its own, and a file system that shows the directories in `mounts`. It shares the
machine's network.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

from . import mounts

if TYPE_CHECKING:
    from pathlib import Path

SUPERVISOR_SEEN_AS = "/run/supervisor.py"

_NAMESPACES = [
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--as-pid-1", "--hostname", "sandbox"),
]
_KERNEL_FILES = ["--proc", "/proc", "--dev", "/dev"]
_TRIAL_TIMEOUT = 5.0  # seconds


class Trial:
    """A test run of bubblewrap, in the background, which shows whether it works on this machine."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        program = shutil.which("bwrap")
        if program is not None:
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    [program, *_NAMESPACES, *mounts.of_the_machine(), *_KERNEL_FILES, "true"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )

    def failure(self) -> str | None:
        """Wait for the end of the test. Return `None` if bubblewrap works, or else the reason, a clause."""
        if self._process is None:
            return "bubblewrap (bwrap) is not installed"
        try:
            _, errors = self._process.communicate(timeout=_TRIAL_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return "bubblewrap does not respond on this machine"
        if self._process.returncode == 0:
            return None
        reason = errors.decode(errors="replace").strip().splitlines()
        return f"bubblewrap does not work on this machine ({reason[-1] if reason else 'no reason given'})"


def isolating_command(directory: Path, supervisor_program: str) -> list[str]:
    """Return the command prefix that isolates the supervisor of the box in `directory`.

    The layout inside is `ISOLATED`.
    """
    return [
        shutil.which("bwrap") or "bwrap",
        *_NAMESPACES,
        *mounts.of_the_machine(),
        *_KERNEL_FILES,
        *mounts.of_the_box(directory),
        *("--ro-bind", supervisor_program, SUPERVISOR_SEEN_AS),
        *("--chdir", "/"),
    ]
