"""The log of a command in the background, followed in the cell that asked for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError, DaytonaNotFoundError
from ..views.log_display import LogDisplay
from .shell import background
from .shell.process_tree import NOT_BEGUN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..client.sandbox import AsyncSandbox
    from ..wire.logs import LogChunk
    from .magic_call import Display, MagicCall


async def follow_log(
    call: MagicCall,
    sandbox: AsyncSandbox,
    session: str,
    command_id: str,
    command: str,
    started: float | None = None,
) -> asyncio.Task[None]:
    """Show a command's log, and follow it after the magic has returned, in the task that this returns.

    started: when the command began, in seconds since the epoch; None where nobody knows.
    """
    process = sandbox.process
    follower = process.follow_session_command_logs(session, command_id)
    shown: Display | None = None

    def publish(bundle: dict[str, Any], metadata: dict[str, Any], update: bool) -> None:
        nonlocal shown
        if shown is None or not update:
            shown = call.show(bundle, metadata)
        else:
            shown.update(bundle, metadata)

    async def chunks() -> AsyncIterator[LogChunk]:
        async with follower:
            try:
                async for chunk in follower:
                    yield chunk
            except DaytonaError as error:
                raise await _explained(error, sandbox, session) from None

    async def exit_code() -> int | None:
        try:
            return (await process.get_session_command(session, command_id)).exit_code
        except DaytonaError as error:
            raise await _explained(error, sandbox, session) from None

    async def stop() -> str | None:
        try:
            said = await background.stop(process, session, command_id)
        except DaytonaError as error:
            raise await _explained(error, sandbox, session) from None
        if said == NOT_BEGUN:
            return said
        if said != background.STOPPED:
            raise DaytonaError(said)
        return None

    async def send_input(text: str) -> None:
        try:
            await process.send_session_command_input(session, command_id, text)
        except DaytonaError:
            # Toolboxes say in several ways that nobody reads any more.
            if await exit_code() is None:
                raise
            raise DaytonaError("The command has ended: it takes no more input.") from None

    async def download() -> AsyncIterator[bytes]:
        # Of a command that runs, what there is by now: the rest may never come.
        left = display.buffer.byte_count if display.state == "running" else None
        async with process.follow_session_command_logs(session, command_id) as log:
            async for chunk in log:
                yield chunk.data if left is None else chunk.data[:left]
                if left is not None:
                    left -= len(chunk.data)
                    if left <= 0:
                        return

    display = LogDisplay(
        chunks(),
        command=background.unwrap(command),
        session=session,
        publish=publish,
        stop=stop,
        send_input=send_input,
        download=download,
        exit_code=exit_code,
        started=started,
    )
    display.show()
    following = asyncio.ensure_future(display.run())
    call.keep(following)
    return following


async def _explained(error: DaytonaError, sandbox: AsyncSandbox, session: str) -> DaytonaError:
    """Return what became of a command that is out of reach, in words for its view; else the same error."""
    try:
        await sandbox.refresh_data()
    except DaytonaNotFoundError:
        return DaytonaError("the sandbox was deleted, and the command ended with it")
    except DaytonaError:
        return error
    if sandbox.state in ("destroying", "destroyed"):
        return DaytonaError("the sandbox was deleted, and the command ended with it")
    if sandbox.state != "started":
        return DaytonaError(f"the sandbox is {sandbox.state}, and the command ended with it")
    if isinstance(error, DaytonaNotFoundError):
        return DaytonaError(f"session {session!r} was deleted, and the command ended with it")
    return error
