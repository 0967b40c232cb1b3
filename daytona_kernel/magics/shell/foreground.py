"""A foreground command of a session: its cell waits, and the output appears as the command prints it.

The command is sent as an asynchronous one and its log is followed, because Daytona answers a synchronous
one only at its end. Before following, a few plain requests catch the many commands that end at once.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...client.models.sessions import SessionExecuteRequest
from ...errors import DaytonaError, DaytonaNotFoundError, DaytonaProcessExecutionTimeoutError
from ...formatting import format_duration
from ...wire.logs import Stream

if TYPE_CHECKING:
    from ...client.process import AsyncProcess
    from ..command_history import CommandHistory

# Takes a piece of output and the name of its stream.
Write = Callable[[str, str], Awaitable[None]]

_FIRST_PAUSES = (0.004, 0.008, 0.016, 0.032, 0.064)
# The wait for the output that a command prints while it is ended.
_LAST_OUTPUT_SECONDS = 1.0


async def run_in_foreground(
    process: AsyncProcess,
    session: str,
    sent: str,
    *,
    write: Write,
    end: Callable[[], Awaitable[str]],
    history: CommandHistory,
    timeout: int | None = None,
) -> int | None:
    """Run a command of a session to its end, and return its exit status.

    sent: the text for the session. write: takes the output. timeout: seconds that the command may take;
        None or 0 for no limit. end: ends the command at its timeout or when its cell is interrupted, and
        returns a sentence for the person, "" for none.

    Raises DaytonaProcessExecutionTimeoutError.
    """
    running = asyncio.ensure_future(_run(process, session, sent, write, history))
    try:
        done, _ = await asyncio.wait({running}, timeout=timeout or None)
        if done:
            return running.result()
        await _end(running, write, end)
        raise DaytonaProcessExecutionTimeoutError(
            f"The command took longer than {format_duration(timeout or 0)} and was ended; "
            "its session keeps its state."
        )
    except asyncio.CancelledError:
        await _end(running, write, end)
        raise
    finally:
        running.cancel()


async def _end(running: asyncio.Future[int | None], write: Write, end: Callable[[], Awaitable[str]]) -> None:
    try:
        message = await end()
    except DaytonaNotFoundError:
        message = ""  # the session is gone, and the command with it
    except DaytonaError as error:
        # Raised here, the error would replace the interrupt.
        message = f"The command may still run: the request to end it failed. {error}"
    done, _ = await asyncio.wait({running}, timeout=_LAST_OUTPUT_SECONDS)
    if done and not running.cancelled():
        running.exception()  # marks the exception as retrieved, or asyncio would log it
    if message:
        await write(message + "\n", "stderr")


async def _run(
    process: AsyncProcess, session: str, sent: str, write: Write, history: CommandHistory
) -> int | None:
    request = SessionExecuteRequest(command=sent, run_async=True, suppress_input_echo=True)
    command_id = (await process.execute_session_command(session, request)).cmd_id
    history.start(session, command_id)
    try:
        for pause in _FIRST_PAUSES:
            await asyncio.sleep(pause)
            command = await process.get_session_command(session, command_id)
            if command.exit_code is not None:
                log = await process.get_session_command_logs(session, command_id)
                for text, stream in ((log.stdout, "stdout"), (log.stderr, "stderr")):
                    if text:
                        await write(text, stream)
                return command.exit_code
        return await _follow(process, session, command_id, write)
    finally:
        history.end(session, command_id)


async def _follow(process: AsyncProcess, session: str, command_id: str, write: Write) -> int | None:
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
    async with process.follow_session_command_logs(session, command_id) as chunks:
        async for chunk in chunks:
            text = decoders[chunk.stream].decode(chunk.data)
            if text:
                await write(text, chunk.stream.value)
    for stream, decoder in decoders.items():
        if remainder := decoder.decode(b"", final=True):
            await write(remainder, stream.value)
    return chunks.exit_code
