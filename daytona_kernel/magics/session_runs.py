"""The runs of scripts in sessions: in the foreground, while the cell waits, or in the background."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..client.models.sessions import SessionExecuteRequest
from ..errors import DaytonaNotFoundError, DaytonaSessionEndedError, MagicUsageError
from ..wire.conventions import SESSION_PREFIX
from .log import follow_log
from .outcome import finish
from .shell import background, session_shell
from .shell.foreground import run_in_foreground
from .shell.process_tree import new_tag
from .shell.variables import with_variables

if TYPE_CHECKING:
    import asyncio

    from ..client.sandbox import AsyncSandbox
    from .command_history import CommandHistory
    from .magic_call import MagicCall

DEFAULT_SESSION = "default"

_HELD_BY_JOB = (
    "The command has ended, but a background job of it holds its output, so the cell and the session wait "
    "for the job. To let a job run, redirect its output: COMMAND > log 2>&1 &"
)


class SessionRuns:
    """Runs scripts in sessions. history: learns of each command."""

    def __init__(self, history: CommandHistory) -> None:
        self._history = history

    async def run(
        self, call: MagicCall, name: str, script: str, timeout: int | None, *, in_background: bool
    ) -> Any:
        """Run a script in a session; create the session first if it is the default one.

        Returns what the magic returns: in the foreground the lines of stdout, and in the background the
        command's id, in both cases only if the call is assigned. Raises DaytonaError.
        """
        refuse_kernels_own(name)
        if in_background and timeout:
            raise MagicUsageError(
                "--timeout has no effect with --async; the command was not run. Leave one of them out."
            )
        sandbox = await call.sandbox()

        async def run() -> Any:
            if in_background:
                return await self._run_in_background(call, sandbox, name, script)
            return await self._run_in_foreground(call, sandbox, name, script, timeout)

        try:
            try:
                return await run()
            except DaytonaNotFoundError:
                if name != DEFAULT_SESSION:
                    raise no_session(name) from None
                await sandbox.process.create_session(name)
                return await run()
        except DaytonaSessionEndedError as error:
            was_refused = error.status_code is not None
            self._history.end_shell(name)
            raise DaytonaSessionEndedError(
                (
                    f"The shell of session {name!r} has ended; "
                    if was_refused
                    else f"The command has ended the shell of session {name!r}, so it has no exit status; "
                )
                + f"run %session delete {name} and create it again."
            ) from None

    async def _run_in_background(
        self, call: MagicCall, sandbox: AsyncSandbox, name: str, script: str
    ) -> str | None:
        tag = new_tag()
        wrapped = background.wrap(tag, script)
        request = SessionExecuteRequest(command=wrapped, run_async=True)
        secrets = call.kernel_sandbox.secrets
        async with with_variables(sandbox.process, tag, secrets.variables, secrets.removed):
            command_id = (await sandbox.process.execute_session_command(name, request)).cmd_id
        self._history.start(name, command_id)
        following = await self.follow(call, sandbox, name, command_id, wrapped)
        following.add_done_callback(lambda _: self._history.end(name, command_id))
        if call.assigned:
            return command_id
        await call.print(f"Its log: %session logs {name} {command_id}\n")
        return None

    async def follow(
        self, call: MagicCall, sandbox: AsyncSandbox, name: str, command_id: str, sent: str
    ) -> asyncio.Task[None]:
        """Show a command's log, and return the task that follows it. sent: the text that the session has."""
        following = await follow_log(call, sandbox, name, command_id, sent, self._history)
        self._history.follow(name, command_id, following)
        return following

    async def _run_in_foreground(
        self, call: MagicCall, sandbox: AsyncSandbox, name: str, script: str, timeout: int | None
    ) -> list[str] | None:
        tag = new_tag()
        kept: list[str] = []

        async def write(text: str, stream: str) -> None:
            if call.assigned and stream == "stdout":
                kept.append(text)
            else:
                await call.print(text, stream)

        async def end(is_held: bool) -> str:
            if is_held:
                return (
                    f"The background job still runs and holds session {name}; %session delete {name} ends it."
                )
            return await session_shell.leave(sandbox.process, name, tag)

        secrets = call.kernel_sandbox.secrets
        async with with_variables(sandbox.process, tag, secrets.variables, secrets.removed):
            status = await run_in_foreground(
                sandbox.process,
                name,
                session_shell.wrap(tag, script),
                write=write,
                end=end,
                watch=functools.partial(session_shell.watch, sandbox.process, name, tag),
                held=_HELD_BY_JOB,
                history=self._history,
                timeout=timeout,
            )
        if status != 0 and kept:
            await call.print("".join(kept))
        await finish(call, status, may_fail=False)
        return "".join(kept).splitlines() if call.assigned else None


def refuse_kernels_own(name: str) -> None:
    """Raise MagicUsageError if a session with this name is the kernel's own."""
    if name.startswith(SESSION_PREFIX):
        raise MagicUsageError(
            f"Names that start with {SESSION_PREFIX!r} are reserved for the kernel; choose another name."
        )


def no_session(name: str) -> DaytonaNotFoundError:
    """Return the error of a magic that names a session that does not exist."""
    return DaytonaNotFoundError(
        f"There is no session {name!r}; %session list shows the sessions, %session create {name} creates it."
    )
