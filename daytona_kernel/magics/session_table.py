"""Sessions and their commands as a table in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shell import background
from .table import Code, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.models.sessions import Command, Session
    from .command_history import CommandHistory

_TITLE_LENGTH = 60


def session_table(sessions: Sequence[Session], history: CommandHistory) -> dict[str, str]:
    """Return a MIME bundle with one row for each command, and for each session without commands."""
    rows: list[Sequence[str]] = []
    for session in sessions:
        if not session.commands:
            rows.append((Code(session.session_id), "", "", "idle", ""))
        for index, command in enumerate(history.in_order(session.session_id, session.commands)):
            rows.append(
                (
                    Code("" if index else session.session_id),
                    Code(_title(command)),
                    Code(command.id),
                    history.state(session.session_id, command),
                    history.duration(session.session_id, command),
                )
            )
    return table(("Session", "Command", "Id", "State", "Duration"), rows, none="There are no sessions.")


def _title(command: Command) -> str:
    """Return a command's first line, shortened."""
    first, *more = background.unwrap(command.command).strip().splitlines() or [""]
    title = f"{first} …" if more else first
    return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
