"""A foreground command of a session: its cell waits, and the output appears as the command prints it.

The command is sent as an asynchronous one and its log is followed, because Daytona answers a synchronous
one only at its end. Before following, a few plain requests catch the many commands that end at once.

A command may never get an exit code on Daytona: if it ends the session's shell, or as long as a background
job of it holds its output. So a script in the sandbox waits beside a longer command, and tells how it ends.
"""

from __future__ import annotations

import asyncio
import codecs
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...client.models.sessions import SessionExecuteRequest
from ...errors import (
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
    DaytonaSessionEndedError,
)
from ...formatting import format_duration
from ...wire.logs import Stream
from .process_tree import Fate

if TYPE_CHECKING:
    from ...client.process import AsyncProcess
    from ..command_history import CommandHistory

# Takes a piece of output and the name of its stream.
Write = Callable[[str, str], Awaitable[None]]

# A command that runs longer than this is watched. The pause precedes a question after an unknown fate.
_WATCH_AFTER_SECONDS = 0.5
_WATCH_PAUSE_SECONDS = 1.0
# The wait for the exit code of a command whose shell or script has ended. A slow machine needs some time.
_EXIT_CODE_SECONDS = {Fate.SHELL_ENDED: 1.0, Fate.ENDED: 3.0}
_FIRST_PAUSES = (0.004, 0.008, 0.016, 0.032, 0.064)
# The wait for the output that a command prints while it is ended.
_LAST_OUTPUT_SECONDS = 1.0


async def run_in_foreground(
    process: AsyncProcess,
    session: str,
    sent: str,
    *,
    write: Write,
    end: Callable[[bool], Awaitable[str]],
    watch: Callable[[], Awaitable[Fate]],
    held: str,
    history: CommandHistory,
    timeout: int | None = None,
) -> int | None:
    """Run a command of a session to its end, and return its exit status.

    sent: the text for the session. write: takes the output. timeout: seconds that the command may take;
        None or 0 for no limit. end: ends the command at its timeout or when its cell is interrupted, and
        returns a sentence for the person, "" for none; its argument is whether only a background job is left.
        watch: returns when the command's script has ended. held: the sentence that is shown while a
        background job holds the command.

    Raises DaytonaProcessExecutionTimeoutError, and DaytonaSessionEndedError if the command has ended its
    session's shell and therefore has no exit status.
    """
    running = asyncio.ensure_future(_run(process, session, sent, write, history))
    is_held = asyncio.Event()
    watching = asyncio.ensure_future(_watch(running, watch, is_held))
    saying = asyncio.ensure_future(_say_when(is_held, held, write))
    try:
        done, _ = await asyncio.wait(
            {running, watching}, timeout=timeout or None, return_when=asyncio.FIRST_COMPLETED
        )
        if running in done:
            return running.result()
        if done:
            watching.result()
        said = await _end(running, write, functools.partial(end, is_held.is_set()))
        kept = "" if said else "; its session keeps its state"
        raise DaytonaProcessExecutionTimeoutError(
            f"The command took longer than {format_duration(timeout or 0)} and was ended{kept}."
        )
    except asyncio.CancelledError:
        await _end(running, write, functools.partial(end, is_held.is_set()))
        raise
    finally:
        for task in (running, watching, saying):
            task.cancel()
        await asyncio.gather(running, watching, saying, return_exceptions=True)


async def _say_when(is_held: asyncio.Event, held: str, write: Write) -> None:
    await is_held.wait()
    await write(held + "\n", "stderr")


async def _watch(
    running: asyncio.Future[int | None], watch: Callable[[], Awaitable[Fate]], is_held: asyncio.Event
) -> None:
    """Watch a command that takes longer, until it ends. Set `is_held` if only a background job is left of it.

    Raises DaytonaSessionEndedError if the shell has ended with the command.
    """
    await asyncio.sleep(_WATCH_AFTER_SECONDS)
    fate = Fate.UNKNOWN
    while fate is Fate.UNKNOWN:
        try:
            fate = await watch()
        except DaytonaError:
            pass  # the command's own requests say what is wrong
        if fate is Fate.UNKNOWN:
            await asyncio.sleep(_WATCH_PAUSE_SECONDS)
    done, _ = await asyncio.wait({running}, timeout=_EXIT_CODE_SECONDS[fate])
    if done:
        return
    if fate is Fate.SHELL_ENDED:
        raise DaytonaSessionEndedError("The shell of the session has ended with the command.")
    is_held.set()
    await asyncio.wait({running})


async def _end(running: asyncio.Future[int | None], write: Write, end: Callable[[], Awaitable[str]]) -> str:
    """End a command, and say what there is to say about it; return that, "" for nothing."""
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
    return message


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
