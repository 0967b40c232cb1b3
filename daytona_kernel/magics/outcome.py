"""The end of a command in its cell: `_exit_code`, and an error unless the status is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import CommandFailedError

if TYPE_CHECKING:
    from .magic_call import MagicCall

COMMAND_NOT_FOUND = 127  # a shell's exit status


async def finish(call: MagicCall, exit_code: int | None, *, may_fail: bool, subject: str = "command") -> None:
    """Set `_exit_code` in the notebook.

    subject: what ended, for the error message.

    Raises CommandFailedError for a status other than 0, unless the command may fail.
    """
    await call.set("_exit_code", exit_code)
    if exit_code not in (0, None) and not may_fail:
        raise CommandFailedError(describe_failure(exit_code, subject))


def describe_failure(exit_code: int, subject: str) -> str:
    """Return a sentence about an exit status other than 0."""
    if exit_code == COMMAND_NOT_FOUND and subject == "command":
        return "The command ended with exit status 127: the shell did not find it."
    if exit_code < 0:
        return f"A signal ended the {subject}, or its shell could not be started."
    return f"The {subject} ended with exit status {exit_code}."
