"""The interpreter slot: the place for the interpreter that runs cells, or for the wait until there is one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, InterpreterLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...client.process import AsyncProcess
    from ...interpreter.interpreter import AgentEvent, Interpreter
    from ...wire.messages import Message


class InterpreterSlot:
    """A slot for one interpreter at a time. It belongs to the relay's loop.

    The slot is empty, or an interpreter for it is being started, or it has an interpreter. While the
    sandbox is being replaced (see Move), the slot is closed: no interpreter is started for it.

    start: asks the host for an interpreter. The host answers with `connect` or `fail_start`.
    on_message, on_event, on_ready: called with the interpreter's messages, the agent's events, and the
        interpreter's kernel_info; see Interpreter.
    on_ended: called with a sentence when the interpreter's state is lost.
    """

    def __init__(
        self,
        start: Callable[[], None],
        *,
        on_message: Callable[[Message], None],
        on_event: Callable[[AgentEvent], None],
        on_ready: Callable[[dict[str, Any]], None],
        on_ended: Callable[[str], None],
    ) -> None:
        self._start = start
        self._on_ended = on_ended
        self._callbacks = {
            "on_message": on_message,
            "on_event": on_event,
            "on_ready": on_ready,
            "on_ended": on_ended,
        }
        self.interpreter: Interpreter | None = None
        self.process: AsyncProcess | None = None
        self._arrival: asyncio.Future[Interpreter] = asyncio.get_running_loop().create_future()
        self._attending: asyncio.Task[None] | None = None
        # The host starts the first interpreter before there is a slot.
        self._starting = True
        self._closed = 0
        self._wanted = False

    def arrival(self) -> asyncio.Future[Interpreter]:
        """Return a future for the next interpreter. It fails with DaytonaError if that cannot be started."""
        return asyncio.shield(self._arrival)

    def want(self) -> None:
        """Start an interpreter, unless there is one or one starts. A closed slot waits for `reopen`."""
        if self._closed:
            self._wanted = True
        elif self.interpreter is None and not self._starting:
            self._starting = True
            self._start()

    def connect(self, process: AsyncProcess, make: Callable[..., Interpreter]) -> None:
        """Use a new interpreter, and let the waiting requests continue.

        process: the process API of the interpreter's sandbox.
        make: builds the interpreter, given the slot's callbacks.
        """
        self._starting = False
        self.process = process
        self.interpreter = make(**self._callbacks)
        self._renew_arrival().set_result(self.interpreter)
        self._attending = asyncio.ensure_future(self._attend(self.interpreter))

    def fail_start(self, error: DaytonaError) -> None:
        """Fail the waiting requests, because the interpreter did not start. The next request tries again."""
        self._starting = False
        arrival = self._renew_arrival()
        arrival.set_exception(error)
        arrival.exception()  # without a waiting request, asyncio would log the error as never retrieved

    def close(self) -> None:
        """Let go of the interpreter, and start none until `reopen`.

        Everything that runs in the interpreter fails with InterpreterReplacedError.
        """
        self._closed += 1
        self._starting = False
        interpreter, self.interpreter = self.interpreter, None
        if self._attending is not None:
            self._attending.cancel()
            self._attending = None
        if interpreter is not None:
            self._on_ended("The kernel has left the interpreter.")
            interpreter.replace()

    def reopen(self, *, start: bool) -> None:
        """End one `close`. The next interpreter is started now if `start` or a request wants one."""
        self._closed -= 1
        self._wanted |= start
        if self._wanted and not self._closed:
            self._wanted = False
            self.want()

    async def disconnect(self) -> None:
        """End the connection to the interpreter, for good."""
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.gather(self._attending, return_exceptions=True)

    async def _attend(self, interpreter: Interpreter) -> None:
        try:
            await interpreter.run()
        except InterpreterLostError as error:
            self._on_ended(str(error))
            self.interpreter = None
            self.want()

    def _renew_arrival(self) -> asyncio.Future[Interpreter]:
        """Return the future that requests wait for, and replace it with a new one."""
        arrival, self._arrival = self._arrival, asyncio.get_running_loop().create_future()
        return arrival
