"""The log of an agent that starts. Each line is a JSON object: progress, and at last its port or an error."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ..errors import InstallationError, InterpreterStartError
from ..formatting import format_duration
from ..wait_limit import limited
from ..wire.logs import Stream
from ..wire.schema import ProtocolError
from .wheels import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from ..client.process import AsyncProcess

# Seconds without a word of an agent that starts. It says when it installs something, which takes longest.
_SILENCE_SECONDS = limited(600.0)


class PackagesWantedError(InstallationError):
    """The sandbox cannot install what its Python lacks, and the kernel can send it."""

    def __init__(self, message: str, target: Target) -> None:
        super().__init__(message)
        self.target = target


async def await_port(
    process: AsyncProcess, session_id: str, command_id: str, on_progress: Callable[[str], None]
) -> int:
    """Return the port on which an agent listens, when its log says so.

    on_progress: called with a line of text while something is being installed.
    Raises PackagesWantedError, InstallationError, InterpreterStartError, and DaytonaError.
    """
    other_lines: list[str] = []
    lines = _lines(process, session_id, command_id)
    async for line in _timely(lines):
        try:
            report = json.loads(line)
        except ValueError:
            other_lines.append(line)
            continue
        if "port" in report:
            return int(report["port"])
        if "error" in report:
            raise _start_error(report)
        on_progress(str(report.get("progress", "")))
    raise InterpreterStartError(
        "The sandbox could not start the interpreter: "
        + (other_lines[-1] if other_lines else "its command ended without output.")
    )


def _start_error(report: dict[str, Any]) -> InterpreterStartError:
    """Return the error that an agent has reported: of an installation, or of another kind."""
    message = str(report["error"])
    if "wanted" not in report:
        return InterpreterStartError(message)
    try:
        return PackagesWantedError(message, Target.parse(report["wanted"]))
    except ProtocolError:
        return InstallationError(message)


async def _timely(lines: AsyncGenerator[str]) -> AsyncIterator[str]:
    """Yield the lines. Raises InterpreterStartError if the next one does not come in time."""
    try:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                line = await anext(lines, None)
            if line is None:
                return
            yield line
    except TimeoutError:
        raise InterpreterStartError(
            f"The interpreter did not start: its agent said nothing for {format_duration(_SILENCE_SECONDS)}. "
            "Your files are kept. The next cell tries again."
        ) from None
    finally:
        await lines.aclose()


async def _lines(process: AsyncProcess, session_id: str, command_id: str) -> AsyncGenerator[str]:
    """Yield the lines of both streams of a command's log, as they appear."""
    rest = dict.fromkeys(Stream, b"")
    chunks = process.follow_session_command_logs(session_id, command_id)
    try:
        async for chunk in chunks:
            *lines, rest[chunk.stream] = (rest[chunk.stream] + chunk.data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line.decode(errors="replace")
    finally:
        await chunks.aclose()
    for line in rest.values():
        if line.strip():
            yield line.decode(errors="replace")
