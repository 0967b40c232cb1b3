"""The log of a background command, shown in the cell that asked for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError, DaytonaNotFoundError
from .shell import background
from .shell.process_tree import CANCELED

_FIRST_LOOK_SECONDS = 1.0  # each next pause is twice as long
_LONGEST_PAUSE = 30.0

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..client.sandbox import AsyncSandbox
    from ..views.log_display import LogDisplay
    from ..wire.logs import LogChunk
    from .command_history import CommandHistory
    from .magic_call import Display, MagicCall


async def follow_log(
    call: MagicCall,
    sandbox: AsyncSandbox,
    session: str,
    command_id: str,
    sent: str,
    history: CommandHistory,
) -> asyncio.Task[None]:
    """Show a command's log, and return the task that follows it after the magic call.

    sent: the command's text as the session has it. history: what the kernel knows of the command.
    """
    from ..views.log_display import LogDisplay  # most kernels show no log

    log = _CommandLog(call, sandbox, session, command_id, history)
    log.display = LogDisplay(
        log.chunks(sent),
        command=background.unwrap(sent),
        session=session,
        publish=log.publish,
        stop=log.stop,
        send_input=log.send_input,
        download=log.download,
        exit_code=log.exit_code,
        was_stopped=lambda: history.was_stopped(session, command_id),
        whole=f"%session logs {session} {command_id}",
        started=history.started(session, command_id),
    )
    log.display.show()
    following = asyncio.ensure_future(log.display.run())
    call.keep(following)
    return following


class _CommandLog:
    """The operations that a log view needs, on one command of a session."""

    display: LogDisplay

    def __init__(
        self,
        call: MagicCall,
        sandbox: AsyncSandbox,
        session: str,
        command_id: str,
        history: CommandHistory,
    ) -> None:
        self._call = call
        self._history = history
        self._sandbox = sandbox
        self._process = sandbox.process
        self._session = session
        self._command_id = command_id
        self._output: Display | None = None
        self._follower = self._process.follow_session_command_logs(session, command_id)

    def publish(self, bundle: dict[str, Any], metadata: dict[str, Any], update: bool) -> None:
        if self._output is None or not update:
            self._output = self._call.show(bundle, metadata)
        else:
            self._output.update(bundle, metadata)

    async def chunks(self, sent: str) -> AsyncIterator[LogChunk]:
        """Yield the log. sent: the command's text as the session has it."""
        watching = asyncio.ensure_future(self._watch(sent))
        try:
            async with self._follower as follower:
                async for chunk in follower:
                    yield chunk
        except DaytonaError as error:
            raise await self._explain(error) from None
        finally:
            watching.cancel()

    async def _watch(self, sent: str) -> None:
        """End the log of a command that never gets an exit code, because its session's shell has ended."""
        pause = _FIRST_LOOK_SECONDS
        while not self._history.has_ended(self._session):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                if await background.has_lost_its_shell(self._process, sent):
                    self._history.end_shell(self._session)
            except DaytonaError:
                pass  # the follower says what is wrong
        self._follower.give_up()

    async def exit_code(self) -> int | None:
        try:
            command = await self._process.get_session_command(self._session, self._command_id)
        except DaytonaError as error:
            raise await self._explain(error) from None
        if command.exit_code is None and self._history.has_ended(self._session):
            raise DaytonaError(
                f"the shell of session {self._session!r} has ended, so the command has no exit status; "
                f"run %session delete {self._session} and create it again"
            )
        return command.exit_code

    async def stop(self) -> str | None:
        """End the command; return a sentence for its view if the command had not started."""
        try:
            result = await background.stop(
                self._process,
                self._session,
                self._command_id,
                on_end=lambda: self._history.stop(self._session, self._command_id),
            )
        except DaytonaError as error:
            raise await self._explain(error) from None
        if result == CANCELED:
            return result
        if result != background.STOPPED:
            raise DaytonaError(result)
        return None

    async def send_input(self, text: str) -> None:
        try:
            await self._process.send_session_command_input(self._session, self._command_id, text)
        except DaytonaError:
            # Toolboxes have several errors for a command that no longer reads.
            if await self.exit_code() is None:
                raise
            raise DaytonaError("The command has ended and takes no more input.") from None

    async def download(self) -> AsyncIterator[bytes]:
        """Yield the whole log; of a running command, the log so far, since its end may never come."""
        remaining = self.display.buffer.byte_count if self.display.state == "running" else None
        async with self._process.follow_session_command_logs(self._session, self._command_id) as log:
            async for chunk in log:
                yield chunk.data if remaining is None else chunk.data[:remaining]
                if remaining is not None:
                    remaining -= len(chunk.data)
                    if remaining <= 0:
                        return

    async def _explain(self, error: DaytonaError) -> DaytonaError:
        """Return an error that says what happened to an unreachable command, or the same error."""
        try:
            await self._sandbox.refresh_data()
        except DaytonaNotFoundError:
            return DaytonaError("the sandbox was deleted, and the command ended with it")
        except DaytonaError:
            return error
        state = self._sandbox.state
        if state in ("destroying", "destroyed"):
            return DaytonaError("the sandbox was deleted, and the command ended with it")
        if state != "started":
            return DaytonaError(f"the sandbox is {state}, and the command ended with it")
        if isinstance(error, DaytonaNotFoundError):
            return DaytonaError(f"session {self._session!r} was deleted, and the command ended with it")
        return error
