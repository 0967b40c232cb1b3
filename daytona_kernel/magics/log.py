"""The log of a command in the background, followed in the cell that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError
from ..views.log_display import LogDisplay
from . import background
from .call import Call, Display

if TYPE_CHECKING:
    from ..client.sandbox import AsyncSandbox


async def follow_log(
    call: Call, sandbox: AsyncSandbox, session: str, command_id: str, command: str
) -> asyncio.Task[None]:
    """Show a command's log, and follow it after the magic has returned, in the task that this returns."""
    process = sandbox.process
    shown: Display | None = None

    def publish(bundle: dict[str, Any], metadata: dict[str, Any], update: bool) -> None:
        nonlocal shown
        if shown is None or not update:
            shown = call.show(bundle, metadata)
        else:
            shown.update(bundle, metadata)

    async def stop() -> None:
        said = await background.stop(process, session, command_id)
        if said != background.STOPPED:
            raise DaytonaError(said)

    async def send_input(text: str) -> None:
        await process.send_session_command_input(session, command_id, text)

    async def download() -> AsyncIterator[bytes]:
        # Of a command that runs, what there is by now: the rest may never come.
        left = display.buffer.byte_count if display.state == "running" else None
        async with process.follow_session_command_logs(session, command_id) as chunks:
            async for chunk in chunks:
                yield chunk.data if left is None else chunk.data[:left]
                if left is not None:
                    left -= len(chunk.data)
                    if left <= 0:
                        return

    async def exit_code() -> int | None:
        return (await process.get_session_command(session, command_id)).exit_code

    display = LogDisplay(
        process.follow_session_command_logs(session, command_id),
        command=background.unwrap(command),
        session=session,
        publish=publish,
        stop=stop,
        send_input=send_input,
        download=download,
        exit_code=exit_code,
    )
    display.show()
    following = asyncio.ensure_future(display.run())
    call.keep(following)
    return following
