"""The handover: the file that a kernel leaves for the kernel that replaces it.

Jupyter starts a restarted kernel, and a kernel that replaces a crashed one, with the same connection file.
The handover is beside that file, with the same permissions, and is removed together with the sandbox.
Some front ends have their connection files in /tmp, where other users have files too. So only the user's
own files are read and removed.

This module imports only the standard library, because it is read before anything else is imported.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...file_flags import CLOSE_ON_EXEC, NO_FOLLOW, NON_BLOCKING, is_own

# A kernel manager may write its connection file some time after a kernel has died.
_SWEEP_SECONDS = 60.0


@dataclass
class Handover:
    """The state of one kernel.

    server: the embedded server's api_url and api_key; None if the sandbox is at Daytona.
    sandbox_id: the sandbox; None before there is one. owned: whether the kernel deletes it at the end.
    options: the settings that a magic has given to the sandbox, by name.
    agent: the fields of `interpreter.gateway.LaunchedAgent`; None if there is no interpreter to find, so
        that the next kernel starts a new one.
    """

    server: dict[str, str] | None = field(default=None, repr=False)
    sandbox_id: str | None = None
    owned: bool = True
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    agent: dict[str, Any] | None = field(default=None, repr=False)


class StoredHandover:
    """A handover in a file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Handover:
        """Return the previous kernel's handover; an empty one if there is none, or it is not readable."""
        try:
            # O_NONBLOCK: opening a FIFO would wait for its other end.
            descriptor = os.open(self.path, os.O_RDONLY | NO_FOLLOW | NON_BLOCKING | CLOSE_ON_EXEC)
            with os.fdopen(descriptor) as file:
                # A server that another user names would get the cells.
                return Handover(**json.load(file)) if _is_own(os.fstat(descriptor)) else Handover()
        except (OSError, ValueError, TypeError):
            return Handover()

    def write(self, handover: Handover) -> None:
        """Replace the file with a new one, in one step. A failure is logged, and costs only the handover."""
        import tempfile

        try:
            descriptor, part = tempfile.mkstemp(prefix=f"{self.path.name}-", dir=self.path.parent)
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(asdict(handover), file)
                Path(part).replace(self.path)
            except OSError:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            import logging

            logging.getLogger(__name__).warning(
                "A restarted kernel will get a new sandbox, because the handover cannot be written: %s", error
            )

    def remove(self) -> None:
        """Remove the file if it is there and can be removed."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class HandoverFile(StoredHandover):
    """The file of a handover, named after the kernel's connection file."""

    def __init__(self, connection_file: str | Path) -> None:
        connection_file = Path(connection_file)
        super().__init__(connection_file.with_name(f"daytona-{connection_file.stem}.handover"))

    @property
    def bookmark_path(self) -> Path:
        """The path of the kernel's bookmark, beside this file; see interpreter.bookmark."""
        return self.path.with_name(f"{self.path.name}.bookmark")

    def sweep(self) -> None:
        """Remove the handovers of killed kernels in the same folder, if no kernel can replace them.

        Leaves the files of other users, and those that cannot be removed.
        """
        with suppress(OSError):
            for path in self.path.parent.glob("daytona-*.handover*"):
                with suppress(OSError):
                    if _is_abandoned(path):
                        path.unlink()


def _is_own(status: os.stat_result) -> bool:
    return is_own(status) and stat.S_ISREG(status.st_mode)


def _is_abandoned(handover: Path) -> bool:
    """Return whether an own handover, or a part of one, is old and has no connection file. Raises OSError."""
    status = handover.lstat()
    kernel = handover.name.removeprefix("daytona-").partition(".handover")[0]
    return (
        _is_own(status)
        and time.time() - status.st_mtime > _SWEEP_SECONDS
        and not handover.with_name(f"{kernel}.json").exists()
    )
