"""Isolation by bubblewrap: its options and a test of it.

A sandbox has its own processes and network, no capability, and a file system that shows the directories
in `mounts`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from . import mounts, seccomp
from .account import Account, choose_account
from .image_mounts import of_the_image
from .mount_points import directories_to, mount_points
from .python_environment import base_python
from .python_files import python_mounts
from .server_python import server_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .control_group import ControlGroups
    from .folder_mount import FolderMount
    from .network import Network

_NAMESPACES = [
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--as-pid-1", "--hostname", "sandbox"),
]
# A file of /proc/sys is writable for the machine's root even without a capability.
_KERNEL_FILES = [
    *("--proc", "/proc", "--dev", "/dev", "--ro-bind", "/proc/sys", "/proc/sys"),
    *("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger"),
]
_TRIAL_TIMEOUT = 20.0  # seconds
_FORBIDDEN = (
    "Often the machine forbids user namespaces: Ubuntu 24.04 does until `sudo sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0`, and containers do unless they are started with more "
    "privileges."
)


class Bubblewrap:
    """Bubblewrap with the options that all boxes of a server have in common, and the trial too.

    `folder` is the folder of this machine that all boxes have, `groups` makes their control groups. `None`
    means none.
    """

    folder: FolderMount | None = None
    groups: ControlGroups | None = None

    def __init__(self, account: Account, network: Network) -> None:
        self.account = account
        self.network = network  # of a box whose sandbox has no other wishes
        self._program = shutil.which("bwrap") or "bwrap"

    @contextlib.contextmanager
    def prefix(
        self, box_mounts: Sequence[str], network: Network, image: str | None = None, tell: int | None = None
    ) -> Iterator[tuple[list[str], list[int]]]:
        """Yield a command prefix that isolates a process, and the descriptors that the process must inherit.

        Besides the files of the machine, or of the root file system `image`, the process sees those of
        `box_mounts`. Bubblewrap writes the id of the process, as JSON, to the descriptor `tell`.
        """
        later = [*_KERNEL_FILES, *box_mounts]
        mounted = [*(mounts.of_the_machine() if image is None else of_the_image(image, later)), *later]
        options = [*_NAMESPACES, *self.account.options, *network.options]
        command = [self._program, *options, *_directories_above(mounted), *mounted]
        if image is not None:
            command += ["--remount-ro", "/"]  # a directory that was put together would be the user's own
        descriptors = [] if self.account.namespace is None else [self.account.namespace]
        if tell is not None:
            command += ["--info-fd", str(tell)]
            descriptors.append(tell)
        with contextlib.ExitStack() as stack:
            program = seccomp.program()
            if program is not None:
                file = stack.enter_context(os.fdopen(os.memfd_create("seccomp"), "wb", buffering=0))
                file.write(program)
                file.seek(0)
                command += ["--seccomp", str(file.fileno())]
                descriptors.append(file.fileno())
            yield [*command, "--chdir", "/", *self._as_account(image)], descriptors

    def _as_account(self, image: str | None) -> list[str]:
        words = self.account.command
        return [*server_python().command(words[0]), *words[1:]] if words and image is not None else words


def _directories_above(options: Sequence[str]) -> list[str]:
    """Return options that make the directories above all mount points of `options` that are in no other."""
    points = mount_points(options)
    outer = [point for point in points if not points.intersection(map(str, PurePath(point).parents))]
    return directories_to(outer, "")


class Failure(NamedTuple):
    """Why bubblewrap does not work: a clause, and a sentence about what to do. Late: it took too long."""

    reason: str
    remedy: str = ""
    is_late: bool = False


class Trial:
    """A test run of bubblewrap, in the background, which shows whether it works on this machine."""

    def __init__(self, network: Network) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if shutil.which("bwrap") is None:
            return
        self.bubblewrap = Bubblewrap(choose_account(), network)
        with (
            self.bubblewrap.prefix(python_mounts(), network) as (prefix, descriptors),
            contextlib.suppress(OSError),
        ):
            self._process = subprocess.Popen(
                [*prefix, base_python(), "--version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                env={},
            )

    def failure(self) -> Failure | None:
        """Wait for the end of the test. Return `None` if bubblewrap works."""
        if self._process is None:
            return Failure(
                "bubblewrap is not installed",
                "Install it (sudo apt install bubblewrap, or your system's way), and run it again.",
            )
        try:
            _, errors = self._process.communicate(timeout=_TRIAL_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return Failure(f"the test of bubblewrap took longer than {_TRIAL_TIMEOUT:.0f} s", is_late=True)
        if self._process.returncode == 0:
            return None
        reason = errors.decode(errors="replace").strip().splitlines()
        return Failure(f"it does not work here ({reason[-1] if reason else 'no reason given'})", _FORBIDDEN)
