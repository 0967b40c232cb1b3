"""Interrupts in the interpreter: SIGINT raises KeyboardInterrupt only where code of the user runs.

ipykernel lets SIGINT raise it wherever the main thread is. In ipykernel's own code that costs the cell its
reply, and in an event loop it ends the process. So while a request is handled, the handler only notes the
signal, except below functions that an interrupt may end. An interrupt that comes before the cell starts
is raised by the cell's first line.

A cell that awaits is a task of the event loop, and an interrupt cancels it. ipykernel does so too, but its
loop notices only when something else wakes it.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

RunNodes = Callable[..., Awaitable[Any]]


class Interrupts:
    """The interrupts of one shell.

    handlers: of introspection requests, which KeyboardInterrupt may end, since nobody waits long for a reply.
    """

    def __init__(self, shell: Any, handlers: Iterable[Callable[..., Any]]) -> None:
        self._cell_code = {shell.run_ast_nodes.__code__}
        catching = (shell.events.trigger, shell.user_expressions, *handlers)
        self._catching_code = {each.__code__ for each in catching}
        self._early = False  # an interrupt came before the cell started
        self._interrupted: asyncio.Future[Any] | None = None
        shell.events.trigger = _ended_by_interrupt(shell.events.trigger, lambda *_: None)
        shell.user_expressions = _ended_by_interrupt(
            shell.user_expressions,
            # Private in IPython: what it puts in the place of an expression that failed.
            lambda expressions: {name: shell._user_obj_error() for name in expressions},  # noqa: SLF001
        )
        # Undocumented in IPython: the only function that starts code of the user and nothing else.
        shell.run_ast_nodes = self._interruptible(shell.run_ast_nodes)
        shell.set_custom_exc((asyncio.CancelledError,), self._show_cancelled)

    def start_request(self) -> Any:
        """Note interrupts from now on; return the previous handler. Only the main thread may call this."""
        before = signal.signal(signal.SIGINT, self._note)
        self._early = False
        return before

    def _note(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        self._early = True  # also if the interrupt ends a hook before the cell
        if _is_below(self._catching_code, frame):
            signal.default_int_handler(number, frame)

    def _interruptible(self, run_nodes: RunNodes) -> RunNodes:
        async def run_ast_nodes(nodes: list[ast.stmt], *arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return await run_nodes(nodes, *arguments, **options)  # no interrupt reaches a subshell
            if signal.getsignal(signal.SIGINT) != self._note:
                # The cell is a task, or runs inside another cell.
                return await run_nodes(self._unless_early(nodes), *arguments, **options)
            # Python's own handler, because libraries look for it. IPython's runner shows the exception.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                return await run_nodes(self._unless_early(nodes), *arguments, **options)
            finally:
                with suppress(KeyboardInterrupt):  # it came as the cell ended
                    signal.signal(signal.SIGINT, self._note)
                signal.signal(signal.SIGINT, self._note)

        return run_ast_nodes

    def _unless_early(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        early, self._early = self._early, False
        if not early or not nodes:
            return nodes
        # The traceback looks as if the first line had been interrupted.
        interrupt = ast.Raise(ast.Name("KeyboardInterrupt", ast.Load()))
        return [ast.fix_missing_locations(ast.copy_location(interrupt, nodes[0]))]

    @contextmanager
    def cancelling(self, cell: asyncio.Future[Any]) -> Iterator[None]:
        """Let an interrupt end a cell that is a task, both while it awaits and while its code runs."""
        loop = asyncio.get_running_loop()

        def interrupt(number: int, frame: FrameType | None) -> None:
            __tracebackhide__ = True
            self._interrupted = cell
            if asyncio.current_task(loop) is not cell:
                loop.call_soon_threadsafe(cell.cancel)
            elif _is_below(self._cell_code, frame):
                signal.default_int_handler(number, frame)
            else:
                self._early = True

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self._interrupted = None

    def _show_cancelled(
        self,
        shell: Any,
        etype: type[BaseException],
        error: BaseException,
        tb: Any,
        tb_offset: Any = None,
    ) -> None:
        """Show a canceled cell, as KeyboardInterrupt if an interrupt canceled it, as asyncio itself does."""
        if self._interrupted is not None and self._interrupted is asyncio.current_task():
            interrupt = KeyboardInterrupt().with_traceback(tb)
            result = shell.displayhook.exec_result
            if result is not None and result.error_in_exec is error:
                result.error_in_exec = interrupt
            etype, error = KeyboardInterrupt, interrupt
        shell.showtraceback((etype, error, tb), tb_offset=tb_offset, running_compiled_code=True)


def _ended_by_interrupt(function: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that an interrupt ends everywhere. The function catches it only in user code."""

    @functools.wraps(function)
    def interruptible(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KeyboardInterrupt:
            return instead(*arguments)

    return interruptible


def _is_below(codes: set[CodeType], frame: FrameType | None) -> bool:
    """Return whether one of these functions is below the frame on the call stack."""
    while frame is not None:
        frame = frame.f_back
        if frame is not None and frame.f_code in codes:
            return True
    return False
