"""`%%local`, `%put` and `%get`: Python in the kernel's own process, and variables between it and the sandbox.

Whoever can run cells could then run anything on the notebook's machine, so all three exist only
where DAYTONA_KERNEL_LOCAL=1 was set before the kernel started. The cells share one namespace, which
is neither the kernel's nor the sandbox's.
"""

from __future__ import annotations

import ast
import asyncio
import ctypes
import io
import linecache
import os
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from ..errors import CommandFailedError, MagicUsageError
from ..wire.values import ValueTransferError, decode_value, encode_value
from .arguments import Expected, Positional, Signature
from .call import Call
from .registry import Registry

VARIABLE = "DAYTONA_KERNEL_LOCAL"
# Code that heeds no interrupt is left running after that.
_INTERRUPT_SECONDS = 1.0


def declare(registry: Registry) -> None:
    """Add `local`, `put` and `get` to a registry."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    turn = asyncio.Lock()

    async def local_names(_call: Call, _expected: Expected) -> list[str]:
        return [name for name in namespace if not name.startswith("_")]

    registry.words("local_name", local_names)

    @registry.magic("local", Signature(), cell_only=True)
    async def local(call: Call) -> None:
        """Run the cell in the kernel's own process, on the notebook's machine.

        Only where DAYTONA_KERNEL_LOCAL=1 was set before the kernel started. Its variables are apart
        from the sandbox's; %put and %get carry them over.
        """
        _require_enabled("%%local")
        async with turn:
            await _LocalCell(call, namespace).run()

    @registry.magic("put", Signature((Positional("name", "a variable of %%local", kind="local_name"),)))
    async def put(call: Call, name: str) -> None:
        """Copy a variable of %%local to the sandbox.

        It travels as JSON, Arrow or bytes: numbers, texts, lists, dictionaries, tables, bytes.
        """
        _require_enabled("%put")
        _require_name(name)
        if name not in namespace:
            raise MagicUsageError(f"%%local has no variable {name!r}.")
        try:
            form, data = await asyncio.to_thread(encode_value, name, namespace[name])
        except ValueTransferError as error:
            raise CommandFailedError(str(error)) from None
        await call.set_value(name, form, data)

    @registry.magic("get", Signature((Positional("name", "a variable of the sandbox"),)))
    async def get(call: Call, name: str) -> None:
        """Copy a variable of the sandbox to %%local, in the forms that %put knows."""
        _require_enabled("%get")
        _require_name(name)
        form, data = await call.value(name)
        try:
            namespace[name] = await asyncio.to_thread(decode_value, name, form, data)
        except ValueTransferError as error:
            raise CommandFailedError(str(error)) from None


def _require_enabled(magic: str) -> None:
    if os.environ.get(VARIABLE) != "1":
        raise MagicUsageError(
            f"{magic} is for code on the notebook's machine, which is not enabled: set {VARIABLE}=1 "
            "before the kernel starts."
        )


def _require_name(name: str) -> None:
    if not name.isidentifier():
        raise MagicUsageError(f"NAME is the name of a variable, not {name!r}.")


class _LocalCell:
    """One cell, in a thread of its own, so that the kernel goes on and the cell can be interrupted."""

    def __init__(self, call: Call, namespace: dict[str, Any]) -> None:
        self._call = call
        self._namespace = namespace
        self._loop = asyncio.get_running_loop()
        self._thread = 0

    async def run(self) -> None:
        """Run it. Raises CommandFailedError when the code raised."""
        running = asyncio.ensure_future(asyncio.to_thread(self._execute))
        try:
            shown, failure = await asyncio.shield(running)
        except asyncio.CancelledError:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
            )
            done, _ = await asyncio.wait({running}, timeout=_INTERRUPT_SECONDS)
            if not done:
                await self._call.print("The code did not end: it goes on in the kernel.\n", "stderr")
            raise
        if shown is not None:
            await self._call.display(*shown)
        if failure:
            raise CommandFailedError(failure)

    def _execute(self) -> tuple[tuple[dict[str, Any], dict[str, Any]] | None, str]:
        """Return what the last expression shows, if anything, and how the code failed, or ""."""
        self._thread = threading.get_ident()
        source, name = self._call.body or "", f"<local {id(self):x}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            with (
                redirect_stdout(_Printer(self._print, "stdout")),
                redirect_stderr(_Printer(self._print, "stderr")),
            ):
                return _shown(_evaluate(source, name, self._namespace)), ""
        except BaseException as error:
            # The frames of this module are of no interest.
            frames = error.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename != name:
                frames = frames.tb_next
            self._print("".join(traceback.format_exception(type(error), error, frames)), "stderr")
            return None, f"{type(error).__name__}: {error}"

    def _print(self, text: str, stream: str) -> None:
        asyncio.run_coroutine_threadsafe(self._call.print(text, stream), self._loop).result()


class _Printer(io.TextIOBase):
    """What a thread prints, on its way to the cell."""

    def __init__(self, print: Any, stream: str) -> None:
        self._print = print
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._print(text, self._stream)
        return len(text)


def _evaluate(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Run a cell, and return the value of the expression that ends it, or None."""
    tree = ast.parse(source, name)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, name, "exec"), namespace)
        return None
    tree.body.pop()
    exec(compile(tree, name, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), name, "eval"), namespace)


def _shown(value: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    if value is None:
        return None
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(value)
    return data, metadata
