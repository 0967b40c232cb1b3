"""Code that runs in a thread of the kernel's process, with its own namespace.

While the code runs, sys.stdout and sys.stderr lead into its cell, also for threads that it starts. An
interrupt raises KeyboardInterrupt in its thread. Python does that only between two steps of Python
code, so a function that waits, such as time.sleep, finishes first; a message in the cell says so.
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

_INTERRUPT_SECONDS = 1.0
_BUFFER = 8192


class LocalCode:
    """The namespace of local code, and the thread that runs one piece of code at a time."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self._thread: threading.Thread | None = None
        self._count = 0

    async def run(self, call: MagicCall, source: str) -> None:
        """Run code; show its output and the value of its last expression. Raises LocalCodeError."""
        if self._thread is not None and self._thread.is_alive():
            raise LocalCodeError(
                "Local code from an interrupted cell still runs, so this cell was not run; "
                "try again when that code has ended."
            )
        self._count += 1
        name = f"<local cell {self._count}>"
        # A traceback reads the source lines from here.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[dict[str, Any]] = loop.create_future()

        def work() -> None:
            settle: Callable[[Any], None] = ended.set_result
            try:
                outcome: Any = self._execute(
                    source, name, _Output(call, loop, "stdout"), _Output(call, loop, "stderr")
                )
            except BaseException as error:  # noqa: BLE001  (the cell shows every error of its code)
                settle, outcome = ended.set_exception, _as_cell_error(error, name)
            loop.call_soon_threadsafe(settle, outcome)

        self._thread = threading.Thread(target=work, name="local code", daemon=True)
        self._thread.start()
        try:
            bundle = await asyncio.shield(ended)
        except asyncio.CancelledError:
            await self._interrupt(self._thread, ended)
            if self._thread.is_alive():
                message = "The local code is in a function that cannot be interrupted; it runs to its end.\n"
                await call.print(message, "stderr")
            raise
        if bundle:
            await call.display(bundle)

    def _execute(self, source: str, name: str, out: _Output, err: _Output) -> dict[str, Any]:
        """Run code in this thread; return the MIME bundle of its last expression, {} for none."""
        with redirect_stdout(out), redirect_stderr(err):
            try:
                tree = ast.parse(source, name)
                last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                code = compile(tree, name, "exec", dont_inherit=True)
                exec(code, self.namespace)  # noqa: S102  (running the cell's code is this class's purpose)
                if not isinstance(last, ast.Expr):
                    return {}
                code = compile(ast.Expression(last.value), name, "eval", dont_inherit=True)
                return _bundle(eval(code, self.namespace))  # noqa: S307  (as above)
            finally:
                out.flush()
                err.flush()

    async def _interrupt(self, thread: threading.Thread, ended: asyncio.Future[dict[str, Any]]) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
        await asyncio.wait({ended}, timeout=_INTERRUPT_SECONDS)
        if ended.done():
            ended.exception()  # marks the exception as retrieved, or asyncio would log it
            thread.join()


class _Output(io.TextIOBase):
    """Printed text on its way to the cell: line by line, and no faster than the cell takes it."""

    def __init__(self, call: MagicCall, loop: asyncio.AbstractEventLoop, stream: str) -> None:
        self._call = call
        self._loop = loop
        self._stream = stream
        self._buffered = ""
        self._worker = threading.get_ident()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._buffered += text
        if "\n" in text or len(self._buffered) > _BUFFER:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._buffered = self._buffered, ""
        if text:
            printed = asyncio.run_coroutine_threadsafe(self._call.print(text, self._stream), self._loop)
            # Another thread may be the loop's own, which must not wait for itself.
            if threading.get_ident() == self._worker:
                printed.result()


def _bundle(value: Any) -> dict[str, Any]:
    """Return the MIME bundle of a value, {} for None."""
    if value is None:
        return {}
    from ipykernel.jsonutil import json_clean
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(value)
    bundle: dict[str, Any] = json_clean(data)  # encodes pictures as base64
    return bundle


def _as_cell_error(error: BaseException, name: str) -> LocalCodeError:
    """Return the error for the cell. Its traceback starts at the cell's own first line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(type(error), error, trace)).splitlines()
    return LocalCodeError(str(error), ename=type(error).__name__, traceback=lines)
