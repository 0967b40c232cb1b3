"""What SIGINT does in the interpreter: KeyboardInterrupt where code of the user runs, and nowhere else.

ipykernel lets it be raised wherever the main thread happens to be. In its own code that costs the
cell its reply, and in an event loop the process. So while a request is handled the signal is only
noted, but for the places that catch what is raised below them; an interrupt that comes before a
cell has begun is raised by its first line.

A cell that awaits is a task of the event loop: while it awaits, it is cancelled. ipykernel does that
too, but its loop finds out only when something else wakes it.
"""

from __future__ import annotations

import ast
import asyncio
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

    handlers: of requests for whose answer nobody waits long, so that KeyboardInterrupt may end them.
    """

    def __init__(self, shell: Any, handlers: Iterable[Callable[..., Any]]) -> None:
        self._cell_code = {shell.run_ast_nodes.__code__}
        catching = (shell.events.trigger, shell.user_expressions, *handlers)
        self._catching_code = {each.__code__ for each in catching}
        self._early = False  # the cell has not begun, and shall not
        self._interrupted: asyncio.Future[Any] | None = None
        shell.run_ast_nodes = self._interruptible(shell.run_ast_nodes)
        shell.set_custom_exc((asyncio.CancelledError,), self._show_cancelled)

    def begin_request(self) -> Any:
        """Note interrupts from now on, and return what handled them before. For the main thread alone."""
        before = signal.signal(signal.SIGINT, self._note)
        self._early = False
        return before

    def _note(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        self._early = True  # also where a hook before the cell is interrupted
        if _is_below(self._catching_code, frame):
            signal.default_int_handler(number, frame)

    def _interruptible(self, run_nodes: RunNodes) -> RunNodes:
        async def run_ast_nodes(nodes: list[ast.stmt], *arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return await run_nodes(nodes, *arguments, **options)  # no interrupt reaches a subshell
            if signal.getsignal(signal.SIGINT) != self._note:
                # It is a task, or a cell inside another.
                return await run_nodes(self._unless_early(nodes), *arguments, **options)
            # Python's own, since libraries look for it. What it raises up here, IPython's runner shows.
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
        # It is shown as if the first line had been interrupted.
        interrupt = ast.Raise(ast.Name("KeyboardInterrupt", ast.Load()))
        return [ast.fix_missing_locations(ast.copy_location(interrupt, nodes[0]))]

    @contextmanager
    def cancelling(self, cell: asyncio.Future[Any]) -> Iterator[None]:
        """Let an interrupt end a cell that is a task, whether it awaits or its code runs."""
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
        """Show a cancelled cell: as with asyncio itself, a KeyboardInterrupt if that was the cause."""
        if self._interrupted is not None and self._interrupted is asyncio.current_task():
            interrupt = KeyboardInterrupt().with_traceback(tb)
            result = shell.displayhook.exec_result
            if result is not None and result.error_in_exec is error:
                result.error_in_exec = interrupt
            etype, error = KeyboardInterrupt, interrupt
        shell.showtraceback((etype, error, tb), tb_offset=tb_offset, running_compiled_code=True)


def _is_below(codes: set[CodeType], frame: FrameType | None) -> bool:
    """Whether one of these functions has called what runs."""
    while frame is not None:
        frame = frame.f_back
        if frame is not None and frame.f_code in codes:
            return True
    return False
