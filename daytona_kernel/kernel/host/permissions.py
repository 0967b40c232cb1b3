"""The permission for each magic call that reaches further than the sandbox.

The sandbox is hostile, and code there can call every magic, at any time and from any thread. So the kernel
carries out such a call only if the person wants it, which it knows from one of these:

1. The cell that runs has the magic in its own text, as the front end sent it. The kernel reads the text
   itself (see written_magics). Each word that decides about this machine or the account must be the written
   one. Words about the sandbox's own side may be computed, since the sandbox could change the files anyway.
2. All local paths are in folders that the person has named in DAYTONA_KERNEL_FOLDERS.
3. The person says so. The kernel asks on the stdin channel of the front end whose cell runs.

A magic outside of loops and functions is honored once. The kernel cannot see how often the line of a loop
or a function runs, so the same line is honored there until the cell ends. Code beside the cell can repeat
such a line, too. That is acceptable: with the same local words, it reads or writes the same files
as the line that the person wrote, while that line runs. The magics that a repetition would harm, `%%local`
and those that replace the sandbox, are never in a loop: they are alone in their cell. A line that
the cell skips, for example behind `if`, counts as written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, MagicUsageError, PermissionRefusedError
from ...magics.arguments import HelpRequested
from ...magics.permission import Folders, describe_call, has_same_words, is_short
from ...magics.reach import Reach
from ..magic_cell import parse_magic_cell
from ..written_magics import WrittenMagic, find_written_magics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...magics.magic import Command
    from ...magics.registry import Registry
    from ...wire.messages import Message
    from .magic_call import MagicCall

# After so many refusals, further calls are refused without a question.
_MOST_REFUSALS = 3
_MOST_ATTEMPTS = 3

_UNWRITTEN = "The text of the running cell does not contain these words."
_DONE = "The text of the running cell contains these words once, and that line has already run."

_HOW = (
    "Nobody can be asked here. Write the line with its local paths into the cell itself, or name their "
    "folder in DAYTONA_KERNEL_FOLDERS before Jupyter starts."
)

_CHOICES = "Allow it? [yes / no / all, which allows every {begin} until this cell ends] "
# No single letter means yes: a person may still be typing the answer to a question of the sandbox.
_ANSWERS = {"yes": "yes", "all": "all", "n": "no", "no": "no", "": "no"}


@dataclass
class _Cell:
    """The permissions in one running cell.

    written: the magics in its text. done: the indexes of those that are honored once and have been.
    allowed: the first words of the commands that the person allows until the cell ends.
    refusals: how often the person said no.
    """

    request: Message
    written: list[WrittenMagic]
    done: set[int] = field(default_factory=set)
    allowed: set[str] = field(default_factory=set)
    refusals: int = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Permissions:
    """The permissions of all running cells. They belong to the API thread's event loop.

    running_cell: returns the request of a cell by its message id if it runs now, and the cell of the main
        shell that runs now for None.
    ask: asks a question in a running cell, given by its message id; returns None if it was withdrawn.
    """

    def __init__(
        self,
        registry: Registry,
        running_cell: Callable[[str | None], Message | None],
        ask: Callable[[str, str], Awaitable[str | None]],
        folders: Folders,
    ) -> None:
        self._registry = registry
        self._running_cell = running_cell
        self._ask = ask
        self._folders = folders
        self._cells: dict[str, _Cell] = {}

    async def require(self, call: MagicCall, command: Command, values: dict[str, Any]) -> None:
        """Return if the person wants this call; see magics.magic_call.MagicCall.require_permission.

        Raises PermissionRefusedError.
        """
        cell = await self._cell(call.request.msg_id)
        why = _UNWRITTEN
        if cell is not None:
            written, why = self._find(cell, call, command, values)
            if written is not None:
                if command.reach is Reach.MOVE:
                    _require_alone(cell, written)
                call.request = cell.request
                call.body = written.body
                call.is_seen = True
                return
        if command.reach.may_be_asked_for:
            if await asyncio.to_thread(self._folders.contain, command, values):
                return
            asked = cell or await self._cell(None)
            call.is_seen = await self._require_answer(asked, command, values, why)
            return
        where = "in the cell itself" if command.reach is Reach.SECRET else "alone in its cell"
        raise _refused(command, f"{why} The magic must be {where}, in plain words.")

    async def _cell(self, msg_id: str | None) -> _Cell | None:
        """Return the permissions of a cell if it runs; for None, of the main shell's cell."""
        self._cells = {
            each: cell for each, cell in self._cells.items() if self._running_cell(each) is not None
        }
        request = self._running_cell(msg_id)
        if request is None:
            return None
        if request.msg_id not in self._cells:
            names = {magic.name for magic in self._registry}
            code = str(request.content.get("code", ""))
            # A thread, because IPython takes long for a cell of thousands of lines.
            written = await asyncio.to_thread(find_written_magics, code, names)
            self._cells.setdefault(request.msg_id, _Cell(request, written))
        return self._cells[request.msg_id] if self._running_cell(request.msg_id) is not None else None

    def _find(
        self, cell: _Cell, call: MagicCall, command: Command, values: dict[str, Any]
    ) -> tuple[WrittenMagic | None, str]:
        """Return the written magic that a call is, and mark it as done; or None, and the reason."""
        why = _UNWRITTEN
        for index, written in enumerate(cell.written):
            if (written.body is None) != (call.body is None):
                continue
            if not self._is_same(written, call, command, values):
                continue
            if index not in cell.done:
                if not written.repeats:
                    cell.done.add(index)
                return written, ""
            why = _DONE
        return None, why

    def _is_same(
        self, written: WrittenMagic, call: MagicCall, command: Command, values: dict[str, Any]
    ) -> bool:
        try:
            written_command, written_values = self._registry.parse(
                written.name, written.line, of_cell=written.body is not None
            )
        except (DaytonaError, HelpRequested):
            return False
        if written_command != command:
            return False
        return written.line == call.line.strip() or has_same_words(command, written_values, values)

    async def _require_answer(
        self, cell: _Cell | None, command: Command, values: dict[str, Any], why: str
    ) -> bool:
        """Ask the person; return whether the person has read every word. Raises PermissionRefusedError."""
        if cell is None:
            raise _refused(command, "No cell runs, so nobody can be asked.")
        if cell.request.content.get("allow_stdin") is not True:
            raise _refused(command, f"{why} {_HOW}")
        if not is_short(command, values):
            raise _refused(command, f"{why} The call is too long to ask about.")
        description = await asyncio.to_thread(describe_call, command, values)
        async with cell.asking:
            if command.begin in cell.allowed:
                return False
            if cell.refusals >= _MOST_REFUSALS:
                raise _refused(command, f"You have refused {_MOST_REFUSALS} times in this cell.")
            answer = await self._answer(cell, command, f"{description}\n{why}\n")
        if answer == "all":
            cell.allowed.add(command.begin)
        if answer == "no":
            cell.refusals += 1
            raise _refused(command, "You did not allow it.")
        return True

    async def _answer(self, cell: _Cell, command: Command, question: str) -> str:
        """Return yes, no or all. Raises PermissionRefusedError if the question is withdrawn."""
        choices = _CHOICES.format(begin=command.begin)
        for _ in range(_MOST_ATTEMPTS):
            answer = await self._ask(cell.request.msg_id, question + choices)
            if answer is None:
                raise _refused(command, "The cell ended or was interrupted before you answered.")
            if (known := _ANSWERS.get(answer.strip().lower())) is not None:
                return known
        return "no"


def _require_alone(cell: _Cell, written: WrittenMagic) -> None:
    """Raise MagicUsageError unless the magic is all that the cell has."""
    alone = parse_magic_cell(str(cell.request.content.get("code", "")), (written.name,))
    if alone is None:
        raise MagicUsageError("This restarts Python, so it must be alone in its cell. Nothing was changed.")


def _refused(command: Command, reason: str) -> PermissionRefusedError:
    return PermissionRefusedError(f"{command.begin} was not carried out. {reason}")
