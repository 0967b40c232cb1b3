"""A server on loopback that follows a script, and so can misbehave in every way."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Received:
    """A request that the server has received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """A request and the connection to answer it on. After `reply` the connection stays open."""

    request: Received
    connection: socket.socket
    keep: bool = field(default=False, init=False)

    def reply(self, status: int, body: Any = b"", **headers: str) -> None:
        """Send a response. A body that is not bytes becomes JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content_type", "application/json")
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.keep = True

    def accept_websocket(self) -> None:
        key = self.request.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        self.connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )

    def frame(self, data: bytes, *, first: bool = True, last: bool = True) -> None:
        """Send a message, or with `first` or `last` false a fragment of one."""
        self._frame((0x80 if last else 0) | (0x02 if first else 0), data)

    def ping(self) -> None:
        self._frame(0x89, b"")

    def close_frame(self, code: int = 1000, reason: str = "") -> None:
        self._frame(0x88, struct.pack("!H", code) + reason.encode())

    def wait_for_close(self) -> None:
        """Wait until the client has closed the connection."""
        while self.connection.recv(65536):
            pass

    def _frame(self, opcode: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", opcode, size)
        elif size < 65536:
            head = struct.pack("!BBH", opcode, 126, size)
        else:
            head = struct.pack("!BBQ", opcode, 127, size)
        self.connection.sendall(head + data)


Answer = Callable[[Exchange], None]


def reply(status: int, body: Any = b"", **headers: str) -> Answer:
    return lambda exchange: exchange.reply(status, body, **headers)


def hang_up(exchange: Exchange) -> None:
    """Close the connection instead of answering."""


class FaultyServer:
    """A server at `url`. `on` sets its answers, and `requests` has the requests so far."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self._tls = tls
        self._routes: list[tuple[str, re.Pattern[str], list[Answer]]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Set the answers to requests for a path, a regular expression. The last answer repeats."""
        self._routes.insert(0, (method, re.compile(path), list(answers)))

    def count(self, method: str, path: str) -> int:
        return sum(1 for got in self.requests if got.method == method and re.fullmatch(path, got.path))

    def close(self) -> None:
        """Stop serving. A second call does nothing."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                data = b""
                keep = True
                while keep:
                    while b"\r\n\r\n" not in data:
                        piece = connection.recv(65536)
                        if not piece:
                            return
                        data += piece
                    head, data = data.split(b"\r\n\r\n", 1)
                    first, *lines = head.decode("latin-1").split("\r\n")
                    method, target, _ = first.split(" ")
                    headers = {
                        name.strip().lower(): value.strip()
                        for name, value in (line.split(":", 1) for line in lines)
                    }
                    while len(data) < (size := int(headers.get("content-length", 0))):
                        data += connection.recv(65536)
                    body, data = data[:size], data[size:]
                    parts = urlsplit(target)
                    request = Received(method, parts.path, dict(parse_qsl(parts.query)), headers, body)
                    self.requests.append(request)
                    exchange = Exchange(request, connection)
                    self._answer(request)(exchange)
                    keep = exchange.keep
        except OSError:
            pass

    def _answer(self, request: Received) -> Answer:
        for method, path, answers in self._routes:
            if method == request.method and path.fullmatch(request.path):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return reply(404, b"404 page not found", content_type="text/plain")
