"""The routes of the interpreter contexts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import tornado.websocket

from .. import failures
from .process import environment, timeout
from .request import SocketHandler, ToolboxHandler, field

if TYPE_CHECKING:
    from ..toolbox.interpreters import Interpreter

_TIMED_OUT = 4008
_DEFAULT_SECONDS = 600
_OUTBOX = 16  # pieces of output, of up to a MiB each, that wait for the client


class InterpretersHandler(ToolboxHandler):
    def get(self) -> None:
        self.answer({"contexts": [one.describe() for one in self.sandbox.interpreters.all()]})

    def post(self) -> None:
        body = self.json_body()
        language = field(body, "language", str, "python") or "python"
        if language != "python":
            raise failures.bad_request(f"unsupported language: {language}")
        cwd = self.sandbox.absolute(field(body, "cwd", str, ""))
        self.answer(self.sandbox.interpreters.create(cwd).describe())


class InterpreterHandler(ToolboxHandler):
    async def delete(self, context_id: str) -> None:
        await self.sandbox.interpreters.delete(context_id)
        self.answer({"message": "Context deleted successfully"})


class ExecuteHandler(SocketHandler):
    """One message with code comes in; its output goes out, and then the websocket closes."""

    async def get(self) -> None:
        self._request: asyncio.Future[str | bytes] = asyncio.get_running_loop().create_future()
        await self.upgrade()

    def on_message(self, message: str | bytes) -> None:
        if not self._request.done():
            self._request.set_result(message)

    async def serve(self) -> None:
        # When the client goes away this is cancelled, which interrupts the code.
        await self._run_code(await self._request)

    async def _run_code(self, message: str | bytes) -> None:
        try:
            body = json.loads(message)
        except ValueError:
            raise failures.bad_request("a JSON object is expected") from None
        code = field(body, "code", str)
        context_id = field(body, "contextId", str, None)
        seconds = timeout(body)
        interpreter = self.sandbox.interpreters.get(context_id, self.sandbox.layout.workspace)
        # One sender, so that output keeps its order; a slow client makes its code wait.
        outbox: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        sender = asyncio.create_task(self._send(outbox, interpreter))

        def take(kind: str, text: str) -> None:
            outbox.put_nowait({"type": kind, "text": text})
            if outbox.qsize() == _OUTBOX:
                interpreter.pause()

        code_of_close = 1000
        try:
            error = await interpreter.run(
                self.sandbox,
                code,
                environment(body),
                (_DEFAULT_SECONDS if seconds is None else seconds) or None,
                take,
            )
            if error is not None:
                outbox.put_nowait({"type": "error", **error})
            outbox.put_nowait({"type": "control", "text": "completed"})
        except TimeoutError:
            outbox.put_nowait({"type": "control", "text": "interrupted"})
            code_of_close = _TIMED_OUT
        except EOFError as error:
            outbox.put_nowait(
                {"type": "error", "name": "InterpreterEnded", "value": str(error), "traceback": ""}
            )
        finally:
            outbox.put_nowait(None)
            await sender
        self.close(code_of_close, "execution timed out" if code_of_close == _TIMED_OUT else None)

    async def _send(self, outbox: asyncio.Queue[dict[str, str] | None], interpreter: Interpreter) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            while (message := await outbox.get()) is not None:
                await self.write_message(json.dumps(message))
                if outbox.qsize() == _OUTBOX // 2:
                    interpreter.resume()
