"""Code that runs in the kernel's own process, in a thread, with a namespace of its own.

While it runs, sys.stdout and sys.stderr lead into its cell, for threads that it starts as well. An
interrupt raises KeyboardInterrupt in its thread, which Python does between two steps of Python
code: a call that waits, as time.sleep, goes on to its end, and the person is told.
"""

from __future__ import annotations

import ast
import asyncio
import ctypes
import io
import linecache
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from ..errors import LocalCodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .magic_call import MagicCall

_STOP_SECONDS = 1.0
_BUFFER = 8192


class LocalCode:
    """The namespace, and what runs in it: one piece of code at a time."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self._thread: threading.Thread | None = None
        self._count = 0

    async def run(self, call: MagicCall, source: str) -> None:
        """Run code, show what it prints and the value of its last expression. Raises LocalCodeError."""
        if self._thread is not None and self._thread.is_alive():
            raise LocalCodeError(
                "Local code that was interrupted still runs; this cell must wait for its end."
            )
        self._count += 1
        name = f"<local cell {self._count}>"
        # This is where a traceback looks for the lines.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[dict[str, Any]] = loop.create_future()

        def work() -> None:
            settle: Callable[[Any], None] = ended.set_result
            try:
                outcome: Any = self._execute(
                    source, name, _Output(call, loop, "stdout"), _Output(call, loop, "stderr")
                )
            except BaseException as error:
                settle, outcome = ended.set_exception, _described(error, name)
            loop.call_soon_threadsafe(settle, outcome)

        self._thread = threading.Thread(target=work, name="local code", daemon=True)
        self._thread.start()
        try:
            shown = await asyncio.shield(ended)
        except asyncio.CancelledError:
            await self._interrupt(self._thread, ended)
            if self._thread.is_alive():
                said = "The local code is in a call that cannot be interrupted: it goes on to its end.\n"
                await call.print(said, "stderr")
            raise
        if shown:
            await call.display(shown)

    def _execute(self, source: str, name: str, out: _Output, err: _Output) -> dict[str, Any]:
        """Run code in this thread; return the MIME bundle of its last expression, {} for none."""
        with redirect_stdout(out), redirect_stderr(err):
            try:
                tree = ast.parse(source, name)
                last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                exec(compile(tree, name, "exec", dont_inherit=True), self.namespace)
                if not isinstance(last, ast.Expr):
                    return {}
                code = compile(ast.Expression(last.value), name, "eval", dont_inherit=True)
                return _bundle(eval(code, self.namespace))
            finally:
                out.flush()
                err.flush()

    async def _interrupt(self, thread: threading.Thread, ended: asyncio.Future[dict[str, Any]]) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
        await asyncio.wait({ended}, timeout=_STOP_SECONDS)
        if ended.done():
            ended.exception()  # it has been looked at
            thread.join()


class _Output(io.TextIOBase):
    """What is printed, on its way to the cell: line by line, and no faster than the cell takes it."""

    def __init__(self, call: MagicCall, loop: asyncio.AbstractEventLoop, stream: str) -> None:
        self._call = call
        self._loop = loop
        self._stream = stream
        self._waiting = ""
        self._worker = threading.get_ident()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._waiting += text
        if "\n" in text or len(self._waiting) > _BUFFER:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._waiting = self._waiting, ""
        if text:
            printed = asyncio.run_coroutine_threadsafe(self._call.print(text, self._stream), self._loop)
            # Another thread may be the loop's own, which must not wait for itself.
            if threading.get_ident() == self._worker:
                printed.result()


def _bundle(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    from ipykernel.jsonutil import json_clean
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(value)
    bundle: dict[str, Any] = json_clean(data)  # pictures become base64
    return bundle


def _described(error: BaseException, name: str) -> LocalCodeError:
    """The error as its cell shows it: from the person's own first line on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(type(error), error, trace)).splitlines()
    return LocalCodeError(str(error), ename=type(error).__name__, traceback=lines)
