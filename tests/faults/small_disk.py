"""A small disk, which can be full. It is a tmpfs in a mount namespace, so an ordinary user can have one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.manager import KernelManager

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=700" tmpfs "$2" && echo mounted && exec cat'
# Entering the namespace changes the working directory.
_IN_DIRECTORY = 'cd "$0" && exec "$@"'
FILL = "fill"
_PIECE = bytes(1 << 16)


class SmallDisk:
    """The disk. Only programs that run with `command` see it, at its directory.

    keeper: a process in the disk's namespace.
    """

    def __init__(self, directory: Path, keeper: int) -> None:
        self._seen_from_here = Path(f"/proc/{keeper}/root{directory}")
        enter = ["nsenter", f"--target={keeper}", "--mount"]
        own = []
        if os.geteuid() != 0:
            enter += ["--user", "--preserve-credentials"]
            own = ["unshare", "--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"]
        self.command = [*enter, "sh", "-c", _IN_DIRECTORY, str(directory), *own]

    def names(self) -> list[str]:
        """Return the names of what is on the disk."""
        return [path.name for path in self._seen_from_here.iterdir()]

    def fill(self) -> None:
        """Write until the disk is full."""
        with (self._seen_from_here / FILL).open("wb", buffering=0) as file:
            try:
                while file.write(_PIECE):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - it is the end of the loop

    def make_room(self) -> None:
        """Delete what `fill` has written."""
        (self._seen_from_here / FILL).unlink(missing_ok=True)


def run_from(disk: SmallDisk, manager: KernelManager) -> None:
    """Let the kernel that a manager starts later see the disk."""
    assert manager.kernel_spec is not None
    # The manager replaces "python" only where it is the first word.
    manager.kernel_spec.argv = [*disk.command, sys.executable, *manager.kernel_spec.argv[1:]]


@contextmanager
def small_disk(directory: Path, size: str = "60m") -> Iterator[SmallDisk]:
    """Mount a disk of this size at a directory. Skips the test where the system refuses."""
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    command = [*alone, "sh", "-c", _MOUNT, "sh", size, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            if keeper.stdout.readline() != b"mounted\n":
                pytest.skip("this system lets no program mount a small disk")
            yield SmallDisk(directory, keeper.pid)
        finally:
            keeper.stdin.close()


class SmallDiskWorld(World):
    """A kernel whose temporary directory, with all that its server has, is a small disk."""

    kept = frozenset({"data", "disk"})

    def __init__(self) -> None:
        super().__init__()
        place = self.directory / "disk"
        place.mkdir()
        self.disk = self.stack.enter_context(small_disk(place, "100m"))

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "TMPDIR": str(self.directory / "disk")}

    def make_manager(self) -> KernelManager:
        manager = super().make_manager()
        run_from(self.disk, manager)
        return manager

    def end_kernel(self) -> None:
        super().end_kernel()
        self.disk.make_room()

    def leftovers(self) -> list[str]:
        return [*super().leftovers(), *(name for name in self.disk.names() if name != FILL)]
