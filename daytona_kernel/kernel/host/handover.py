"""The handover: the file that a kernel leaves for the kernel that replaces it.

Jupyter starts a restarted kernel, and a kernel that replaces a crashed one, with the same connection file.
The handover is beside that file, with the same permissions, and is removed together with the sandbox.

This module imports only the standard library, because it is read before anything else is imported.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# A kernel manager may write its connection file some time after a kernel has died.
_SWEEP_SECONDS = 60.0


@dataclass
class Handover:
    """The state of one kernel.

    server: the embedded server's api_url and api_key; None if the sandbox is at Daytona.
    sandbox_id: the sandbox; None before there is one. owned: whether the kernel deletes it at the end.
    agent: the fields of `interpreter.launcher.LaunchedAgent`; None if there is no interpreter to find, so
        that the next kernel starts a new one.
    """

    server: dict[str, str] | None = field(default=None, repr=False)
    sandbox_id: str | None = None
    owned: bool = True
    agent: dict[str, Any] | None = field(default=None, repr=False)


class HandoverFile:
    """The file of a handover, named after the kernel's connection file."""

    def __init__(self, connection_file: str | Path) -> None:
        connection_file = Path(connection_file)
        self.path = connection_file.with_name(f"daytona-{connection_file.stem}.handover")

    def read(self) -> Handover:
        """Return the previous kernel's handover; an empty one if there is none, or it is not readable."""
        try:
            return Handover(**json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return Handover()

    def write(self, handover: Handover) -> None:
        """Replace the file with a new one, in one step."""
        part = self.path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(handover), file)
        part.replace(self.path)

    def remove(self) -> None:
        """Remove the file if it is there."""
        self.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the handovers of killed kernels in the same folder, if no kernel can replace them."""
        for handover in self.path.parent.glob("daytona-*.handover"):
            connection_file = handover.with_name(f"{handover.stem.removeprefix('daytona-')}.json")
            try:
                old = time.time() - handover.stat().st_mtime > _SWEEP_SECONDS
            except FileNotFoundError:
                continue
            if old and not connection_file.exists():
                handover.unlink(missing_ok=True)
