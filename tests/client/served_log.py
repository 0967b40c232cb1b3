"""A command's log that a faulty server serves, and the log that a follower must deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daytona_kernel import Stream
from daytona_kernel.wire.logs import MARKERS, split_log

if TYPE_CHECKING:
    from .faulty_server import Exchange, FaultyServer

COMMAND = "/process/session/s/command/c"
OUT, ERR = MARKERS[Stream.STDOUT], MARKERS[Stream.STDERR]

LOG = b"".join(
    (ERR if number % 3 == 0 else OUT) + f"line {number} naïve 🎈\n".encode() for number in range(300)
)


class Toolbox:
    """A command with a log. Its stream follows one of `behaviors` each time it is opened."""

    def __init__(self, faulty: FaultyServer, log: bytes = LOG) -> None:
        self.log = log
        self.visible = len(log)  # how much of it has been written
        self.ended = True
        faulty.on("GET", COMMAND, self._command)
        faulty.on("GET", COMMAND + "/logs", self._logs)
        self.behaviors: list[Any] = []
        self.opened = 0

    def _command(self, exchange: Exchange) -> None:
        body: dict[str, Any] = {"id": "c", "command": "x"}
        exchange.reply(200, body | ({"exitCode": 7} if self.ended else {}))

    def _logs(self, exchange: Exchange) -> None:
        if "upgrade" not in exchange.request.headers:
            exchange.reply(200, self.log[: self.visible], content_type="text/plain")
            return
        assert exchange.request.query == {"follow": "true"}
        self.opened += 1
        behavior = self.behaviors.pop(0) if len(self.behaviors) > 1 else self.behaviors[0]
        behavior(exchange)

    def send(self, exchange: Exchange, data: bytes, size: int = 1024) -> None:
        for start in range(0, len(data), size):
            exchange.frame(data[start : start + size])


def collect(follower: Any) -> bytes:
    """Return the log that a follower delivers, with a marker at each change of the stream."""
    chunks = list(follower)
    assert follower.exit_code == 7
    return remarked([(chunk.stream, chunk.data) for chunk in chunks])


def remarked(pieces: list[tuple[Stream, bytes]]) -> bytes:
    joined, last = b"", None
    for stream, data in pieces:
        joined += (MARKERS[stream] if stream is not last else b"") + data
        last = stream
    return joined


def model(log: bytes) -> bytes:
    pieces: list[tuple[Stream, bytes]] = []
    for line in log.splitlines(keepends=True):
        stdout, stderr = split_log(line)
        pieces.append((Stream.STDOUT, stdout) if stdout else (Stream.STDERR, stderr))
    return remarked(pieces)
