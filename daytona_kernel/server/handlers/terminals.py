"""The routes of terminals, which the API calls PTY sessions."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from .. import failures
from ..toolbox.terminals import MAX_SIZE, Terminal
from .fields import field, parse_integer, parse_object
from .process import environment
from .request import SocketHandler, ToolboxHandler

_EXIT_CONTROL = "X-Daytona-Pty-Exit-Control"
_ENVIRONMENT = "X-Daytona-Pty-Envs~"
_SIGNALLED = 128  # plus the signal: the exit code of a shell that a signal killed


class TerminalsHandler(ToolboxHandler):
    """Lists the terminals, or creates one."""

    def get(self) -> None:
        self.answer({"sessions": [describe_terminal(terminal) for terminal in self.sandbox.terminals.all()]})

    async def post(self) -> None:
        body = self.json_body()
        rows, cols = size(body)
        terminal = Terminal(
            field(body, "id", str, "") or str(uuid.uuid4()),
            self.sandbox.absolute(field(body, "cwd", str, "")),
            environment(body),
            rows,
            cols,
            lazy=field(body, "lazyStart", bool, False),
        )
        await self.sandbox.terminals.create(terminal)
        self.answer({"sessionId": terminal.id}, 201)


class TerminalHandler(ToolboxHandler):
    """One terminal."""

    def get(self, pty_id: str) -> None:
        self.answer(describe_terminal(self.sandbox.terminals.get(pty_id)))

    async def delete(self, pty_id: str) -> None:
        await self.sandbox.terminals.delete(pty_id)
        self.answer({"message": "PTY session deleted"})


class ResizeHandler(ToolboxHandler):
    """Changes a terminal's size."""

    def post(self, pty_id: str) -> None:
        terminal = self.sandbox.terminals.get(pty_id)
        terminal.resize(*size(self.json_body()))
        self.answer(describe_terminal(terminal))


class ConnectHandler(SocketHandler):
    """A websocket between a client and a terminal: input one way, output the other."""

    _terminal: Terminal

    async def get(self, pty_id: str) -> None:
        self._terminal = self.sandbox.terminals.get(pty_id)
        await self.upgrade()

    async def serve(self) -> None:
        terminal = self._terminal
        try:
            await terminal.start(self.sandbox.spawn)
        except failures.ApiError as failure:
            status = {"type": "control", "status": "error", "error": failure.message}
            await self.write_message(json.dumps(status))
            raise
        await self.write_message(json.dumps({"type": "control", "status": "connected"}))
        async for piece in terminal.output():
            await self.write_message(piece, binary=True)
        ended = describe_end(terminal)
        if _EXIT_CONTROL in self.offered():
            await self.write_message(json.dumps({"type": "control", "status": "exited", **ended}))
        self.close(1000, json.dumps(ended))

    def offered(self) -> list[str]:
        """Return the subprotocols that the client offers. SDKs pass options in them."""
        header = self.request.headers.get("Sec-WebSocket-Protocol", "")
        return [protocol.strip() for protocol in header.split(",")]

    async def on_message(self, message: str | bytes) -> None:
        # Tornado reads the next message when this coroutine is done: the terminal slows the client down.
        await self._terminal.type(message.encode() if isinstance(message, str) else message)


class CreateAndConnectHandler(ConnectHandler):
    """Creates a terminal and connects to it, in one request."""

    async def get(self) -> None:  # type: ignore[override]
        envs: dict[str, Any] = {}
        for offered in self.offered():
            if offered.startswith(_ENVIRONMENT):
                encoded = offered.removeprefix(_ENVIRONMENT)
                try:
                    envs = parse_object(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
                except ValueError:
                    raise failures.bad_request("invalid environment") from None
        numbers = {
            name: parse_integer(value, name)
            for name in ("rows", "cols")
            if (value := self.get_query_argument(name, ""))
        }
        rows, cols = size(numbers)
        terminal = Terminal(
            self.get_query_argument("id", "") or str(uuid.uuid4()),
            self.sandbox.absolute(self.get_query_argument("cwd", "")),
            environment({"envs": envs}),
            rows,
            cols,
        )
        self._terminal = await self.sandbox.terminals.create(terminal)
        await self.upgrade()


def size(body: dict[str, Any]) -> tuple[int, int]:
    """Return the rows and columns of a request. Raises `ApiError` 400 when they are out of range."""
    rows: int = field(body, "rows", int, 24)
    cols: int = field(body, "cols", int, 80)
    if not (0 < rows <= MAX_SIZE and 0 < cols <= MAX_SIZE):
        raise failures.bad_request(f"rows and cols must be between 1 and {MAX_SIZE}")
    return rows, cols


def describe_terminal(terminal: Terminal) -> dict[str, Any]:
    """Return `terminal` in the API's JSON."""
    return {
        "id": terminal.id,
        "cwd": terminal.cwd,
        "envs": terminal.env,
        "cols": terminal.cols,
        "rows": terminal.rows,
        "createdAt": terminal.created_at,
        "active": terminal.exit_code is None,
        "lazyStart": terminal.lazy,
    }


def describe_end(terminal: Terminal) -> dict[str, Any]:
    """Return how the terminal's shell ended, in the API's JSON."""
    ended: dict[str, Any] = {"exitCode": terminal.exit_code}
    if terminal.exit_code is not None and terminal.exit_code > _SIGNALLED:
        ended["exitReason"] = f"killed by signal {terminal.exit_code - _SIGNALLED}"
    return ended
