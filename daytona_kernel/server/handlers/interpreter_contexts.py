"""The routes of the interpreter contexts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import tornado.websocket

from .. import failures
from .fields import field, parse_object
from .process import environment, timeout
from .request import SocketHandler, ToolboxHandler

if TYPE_CHECKING:
    from ..toolbox.interpreter_contexts import InterpreterContext

_TIMED_OUT = 4008  # the toolbox's close code
_DEFAULT_TIMEOUT = 600  # seconds
_OUTBOX_SIZE = 16  # pieces of output, of up to a MiB each, that may wait for the client


class InterpreterContextsHandler(ToolboxHandler):
    """Lists the interpreter contexts, or creates one."""

    def get(self) -> None:
        contexts = self.sandbox.interpreter_contexts.all()
        self.answer({"contexts": [describe_interpreter_context(context) for context in contexts]})

    def post(self) -> None:
        body = self.json_body()
        language = field(body, "language", str, "python") or "python"
        if language != "python":
            raise failures.bad_request(f"unsupported language: {language}")
        cwd = self.sandbox.absolute(field(body, "cwd", str, ""))
        self.answer(describe_interpreter_context(self.sandbox.interpreter_contexts.create(cwd)))


class InterpreterContextHandler(ToolboxHandler):
    """One interpreter context."""

    async def delete(self, context_id: str) -> None:
        await self.sandbox.interpreter_contexts.delete(context_id)
        self.answer({"message": "Context deleted successfully"})


class InterpreterExecuteHandler(SocketHandler):
    """A websocket that runs one piece of code: the client sends it, receives its output, and is closed."""

    async def get(self) -> None:
        self._request: asyncio.Future[str | bytes] = asyncio.get_running_loop().create_future()
        await self.upgrade()

    def on_message(self, message: str | bytes) -> None:
        if not self._request.done():
            self._request.set_result(message)

    async def serve(self) -> None:
        # If the client goes away, Tornado cancels this task, which interrupts the code.
        await self._run_code(await self._request)

    async def _run_code(self, message: str | bytes) -> None:
        body = parse_object(message)
        code = field(body, "code", str)
        context_id = field(body, "contextId", str, None)
        seconds = timeout(body)
        interpreter = self.sandbox.interpreter_contexts.get(context_id, self.sandbox.work_dir)
        # One task sends everything, so that output keeps its order. A slow client makes its code wait.
        outbox: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        sender = asyncio.create_task(self._send(outbox, interpreter))

        def queue(kind: str, text: str) -> None:
            outbox.put_nowait({"type": kind, "text": text})
            if outbox.qsize() == _OUTBOX_SIZE:
                interpreter.pause()

        close_code = 1000
        try:
            error = await interpreter.run(
                self.sandbox.spawn,
                code,
                environment(body),
                (_DEFAULT_TIMEOUT if seconds is None else seconds) or None,
                queue,
            )
            if error is not None:
                outbox.put_nowait({"type": "error", **error})
            outbox.put_nowait({"type": "control", "text": "completed"})
        except TimeoutError:
            outbox.put_nowait({"type": "control", "text": "interrupted"})
            close_code = _TIMED_OUT
        except EOFError as error:
            outbox.put_nowait(
                {"type": "error", "name": "InterpreterEnded", "value": str(error), "traceback": ""}
            )
        finally:
            outbox.put_nowait(None)
            await sender
        self.close(close_code, "execution timed out" if close_code == _TIMED_OUT else None)

    async def _send(
        self, outbox: asyncio.Queue[dict[str, str] | None], interpreter: InterpreterContext
    ) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            while (message := await outbox.get()) is not None:
                await self.write_message(json.dumps(message))
                if outbox.qsize() == _OUTBOX_SIZE // 2:
                    interpreter.resume()


def describe_interpreter_context(context: InterpreterContext) -> dict[str, Any]:
    """Return `context` in the API's JSON."""
    return {
        "id": context.id,
        "cwd": context.cwd,
        "language": "python",
        "createdAt": context.created_at,
        "active": context.is_active,
    }
