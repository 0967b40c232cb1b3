"""Sessions and their commands as a table in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shell import background
from .table import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.models import Command, Session
    from .timing import Timings

_TITLE_LENGTH = 60


def session_table(sessions: Sequence[Session], timings: Timings) -> dict[str, str]:
    """Return a MIME bundle with one row for each command, and for each session without commands."""
    rows = []
    for session in sessions:
        if not session.commands:
            rows.append((session.session_id, "", "", "idle", ""))
        for index, command in enumerate(session.commands):
            running = command.exit_code is None
            rows.append(
                (
                    "" if index else session.session_id,
                    _title(command),
                    command.id,
                    state_of(command),
                    timings.describe(session.session_id, command.id, running=running),
                )
            )
    return table(
        ("Session", "Command", "Id", "State", "Duration"), rows, none="There are no sessions.", code=(1, 2)
    )


def state_of(command: Command) -> str:
    """Return the state of a command in words."""
    return "running" if command.exit_code is None else f"exited {command.exit_code}"


def _title(command: Command) -> str:
    """Return a command's first line, shortened."""
    first, *more = background.unwrap(command.command).strip().splitlines() or [""]
    title = f"{first} …" if more else first
    return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
