"""The forms in which a log is answered. The form depends on the version of the client's SDK."""

from __future__ import annotations

import codecs
import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...wire.logs import LogDemultiplexer, Stream, split_log
from .. import limits
from .process import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tornado.httputil import HTTPHeaders

    from ..toolbox.log import CommandLog
    from .request import ToolboxHandler

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
_FIRST_MARKED = (0, 27)
_FIRST_SPLIT = (0, 167)
_WHOLE_BYTES = limits.MIB  # the server answers with a log up to this size in one piece


class LogShape(Enum):
    """The three forms of a log: plain text, text with markers, or markers and each stream by itself."""

    PLAIN = "plain"
    MARKED = "marked"
    SPLIT = "split"


def shape_for(headers: HTTPHeaders) -> LogShape:
    """Return the shape that the client understands, from the version of its SDK in `headers`."""
    version = headers.get("X-Daytona-SDK-Version", "")
    if not version:
        return LogShape.MARKED if headers.get("X-Daytona-Split-Output") == "true" else LogShape.PLAIN
    if "dev" in version:
        return LogShape.SPLIT
    numbers = _VERSION.match(version)
    if numbers is None:
        return LogShape.MARKED
    major, minor, _ = (int(number or 0) for number in numbers.groups())
    if (major, minor) >= _FIRST_SPLIT:
        return LogShape.SPLIT
    return LogShape.MARKED if (major, minor) >= _FIRST_MARKED else LogShape.PLAIN


async def answer_log_as_json(
    handler: ToolboxHandler, shape: LogShape, log: CommandLog, more: dict[str, Any]
) -> None:
    """Answer with an object of `more` and the log. A long log is sent in pieces, to save memory."""
    if log.size <= _WHOLE_BYTES:
        marked = log.read()
        stdout, stderr = split_log(marked)
        answer: dict[str, Any] = dict(more)
        if shape is LogShape.SPLIT:
            answer |= {"output": text(marked), "stdout": text(stdout), "stderr": text(stderr)}
        elif shape is LogShape.MARKED:
            answer |= {"output": text(marked), "stdout": None, "stderr": None}
        else:
            plain = b"".join([piece async for piece in log_pieces(log, LogShape.PLAIN)])
            answer |= {"output": text(plain), "stdout": None, "stderr": None}
        handler.answer(answer)
        return
    handler.set_header("Content-Type", "application/json; charset=utf-8")
    handler.write("{" + "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in more.items()))
    output = LogShape.PLAIN if shape is LogShape.PLAIN else LogShape.MARKED
    await write_json_text(handler, "output", log_pieces(log, output))
    for stream in Stream:
        handler.write(", ")
        if shape is LogShape.SPLIT:
            await write_json_text(handler, stream.value, log_pieces(log, shape, stream))
        else:
            handler.write(f'"{stream.value}": null')
    handler.finish("}")


async def write_json_text(handler: ToolboxHandler, key: str, pieces: AsyncIterator[bytes]) -> None:
    """Write `"key": "text"`. The text comes in pieces of UTF-8, which may end inside a character."""
    decode: Callable[..., str] = codecs.getincrementaldecoder("utf-8")("replace").decode
    handler.write(f'"{key}": "')
    async for piece in pieces:
        handler.write(json.dumps(decode(piece))[1:-1])
        await handler.flush()
    handler.write(json.dumps(decode(b"", final=True))[1:-1] + '"')


async def log_pieces(log: CommandLog, shape: LogShape, only: Stream | None = None) -> AsyncIterator[bytes]:
    """Yield the present log in pieces, with markers if `shape` is `MARKED`, else without.

    `only` selects one stream; `None` means both.
    """
    demultiplexer = LogDemultiplexer()
    async for piece in log.pieces(limits.FILE_CHUNK_BYTES, follow=False):
        if shape is LogShape.MARKED:
            yield piece
            continue
        for chunk in demultiplexer.feed(piece):
            if only is None or chunk.stream is only:
                yield chunk.data
    for chunk in demultiplexer.finish():
        if only is None or chunk.stream is only:
            yield chunk.data
