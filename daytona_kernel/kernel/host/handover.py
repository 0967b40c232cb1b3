"""What a kernel leaves for the kernel that comes after it: whose sandbox, which agent.

Jupyter starts a restarted kernel, and one that takes the place of a crashed one, with the same
connection file; the handover lies beside it, for the owner's eyes as the connection file is, and is
removed when the sandbox is. Standard library only: it is read before anything is imported.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# A manager may write its connection file a little after a kernel has died.
_SWEEP_SECONDS = 60.0


@dataclass
class Handover:
    """The state of one kernel's home.

    server: the embedded server's api_url and api_key; None on Daytona.
    sandbox_id: the sandbox; None before there is one. owned: whether this kernel made it.
    agent: what `interpreter.launcher.LaunchedAgent` holds; None when the interpreter was ended in
        good order, so that the next kernel starts a fresh one.
    """

    server: dict[str, str] | None = field(default=None, repr=False)
    sandbox_id: str | None = None
    owned: bool = True
    agent: dict[str, Any] | None = field(default=None, repr=False)


class HandoverFile:
    """The file of a handover, named by the kernel's connection file."""

    def __init__(self, connection_file: str | Path) -> None:
        connection_file = Path(connection_file)
        self.path = connection_file.with_name(f"daytona-{connection_file.stem}.handover")

    def read(self) -> Handover:
        """Return what the kernel before left, or an empty handover."""
        try:
            return Handover(**json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return Handover()

    def write(self, handover: Handover) -> None:
        """Write the handover, whole or not at all."""
        part = self.path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(handover), file)
        part.replace(self.path)

    def remove(self) -> None:
        """Remove it; no error when it is gone."""
        self.path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the records of kernels that were killed, and that nobody will start again."""
        for handover in self.path.parent.glob("daytona-*.handover"):
            connection_file = handover.with_name(f"{handover.stem.removeprefix('daytona-')}.json")
            try:
                old = time.time() - handover.stat().st_mtime > _SWEEP_SECONDS
            except FileNotFoundError:
                continue
            if old and not connection_file.exists():
                handover.unlink(missing_ok=True)
