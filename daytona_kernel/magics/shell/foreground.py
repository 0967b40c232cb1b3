"""A command of a session that its cell waits for: the output appears as it comes.

It is sent as an async command and its log is followed, since a sync one answers only at its end. The
first look is a plain question, for the many commands that take no time.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...client.models import SessionExecuteRequest
from ...errors import DaytonaError, DaytonaNotFoundError, DaytonaProcessExecutionTimeoutError
from ...formatting import format_duration
from ...wire.logs import Stream
from ..timing import Timings

if TYPE_CHECKING:
    from ...client.process import AsyncProcess

# Takes a piece of output and the name of its stream.
Print = Callable[[str, str], Awaitable[None]]

_FIRST_LOOKS = (0.004, 0.008, 0.016, 0.032, 0.064)
# What a command says when it is ended is worth waiting for, for a while.
_LAST_WORDS_SECONDS = 1.0


async def run_in_foreground(
    process: AsyncProcess,
    session: str,
    sent: str,
    *,
    print: Print,
    end: Callable[[], Awaitable[str]],
    timings: Timings,
    timeout: int | None = None,
) -> int | None:
    """Run a command of a session to its end, and return its exit status.

    sent: what goes to the session. print: takes its output. timeout: seconds it may take; None or 0
        for any. end: ends it when its time is over or its cell is interrupted, and returns what a
        person must know of that, "" for nothing.

    Raises DaytonaProcessExecutionTimeoutError.
    """
    running = asyncio.ensure_future(_run(process, session, sent, print, timings))
    try:
        done, _ = await asyncio.wait({running}, timeout=timeout or None)
        if done:
            return running.result()
        await _end(running, print, end)
        raise DaytonaProcessExecutionTimeoutError(
            f"The command took longer than {format_duration(timeout or 0)} and was ended; "
            "its session keeps its state."
        )
    except asyncio.CancelledError:
        await _end(running, print, end)
        raise
    finally:
        running.cancel()


async def _end(running: asyncio.Future[int | None], print: Print, end: Callable[[], Awaitable[str]]) -> None:
    try:
        said = await end()
    except DaytonaNotFoundError:
        said = ""  # there is no session, or no longer, and so no command
    except DaytonaError as error:
        # It must not take the place of the interrupt.
        said = f"It is not known whether the command has ended: {error}"
    done, _ = await asyncio.wait({running}, timeout=_LAST_WORDS_SECONDS)
    if done and not running.cancelled():
        running.exception()  # what a given up command failed of is no news
    if said:
        await print(said + "\n", "stderr")


async def _run(process: AsyncProcess, session: str, sent: str, print: Print, timings: Timings) -> int | None:
    request = SessionExecuteRequest(command=sent, run_async=True, suppress_input_echo=True)
    command_id = (await process.execute_session_command(session, request)).cmd_id
    timings.begin(session, command_id)
    try:
        for pause in _FIRST_LOOKS:
            await asyncio.sleep(pause)
            command = await process.get_session_command(session, command_id)
            if command.exit_code is not None:
                log = await process.get_session_command_logs(session, command_id)
                for text, stream in ((log.stdout, "stdout"), (log.stderr, "stderr")):
                    if text:
                        await print(text, stream)
                return command.exit_code
        return await _follow(process, session, command_id, print)
    finally:
        timings.end(session, command_id)


async def _follow(process: AsyncProcess, session: str, command_id: str, print: Print) -> int | None:
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
    async with process.follow_session_command_logs(session, command_id) as chunks:
        async for chunk in chunks:
            text = decoders[chunk.stream].decode(chunk.data)
            if text:
                await print(text, chunk.stream.value)
    for stream, decoder in decoders.items():
        if left := decoder.decode(b"", final=True):
            await print(left, stream.value)
    return chunks.exit_code
