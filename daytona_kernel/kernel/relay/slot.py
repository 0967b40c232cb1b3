"""The interpreter slot: the place for the interpreter that runs cells, or for the wait until there is one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, InterpreterError, InterpreterUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...client.process import AsyncProcess
    from ...interpreter.interpreter import AgentEvent, Interpreter
    from ...wire.messages import Message

# Seconds that the kernel waits for the end of an interpreter. The agent kills it a little before that.
ENDING_SECONDS = 6.0


class InterpreterSlot:
    """A slot for one interpreter at a time. It belongs to the relay's loop.

    The slot is empty, or an interpreter for it is being started, or it has an interpreter. While the
    sandbox is being replaced (see Move), the slot is closed: no interpreter is started for it.

    start: asks the host for an interpreter. The host answers with `connect` or `fail_start`. The argument
        says whether the host may return to the agent that it has used before.
    on_message, on_event, on_ready, on_outage: called with the interpreter's messages, the agent's events,
        the interpreter's kernel_info, and the breaks of its connection; see Interpreter.
    on_ended: called with a sentence when the interpreter's state is lost.
    on_left: called when the slot has let go of its interpreter.
    server_end: returns a sentence about the end of the server that has the sandbox; None while it runs.
    """

    def __init__(
        self,
        start: Callable[[bool], None],
        *,
        on_message: Callable[[Message], None],
        on_event: Callable[[AgentEvent], None],
        on_ready: Callable[[dict[str, Any]], None],
        on_ended: Callable[[str], None],
        on_outage: Callable[[str | None], None],
        on_left: Callable[[], None],
        server_end: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._start = start
        self._on_ended = on_ended
        self._on_left = on_left
        self._server_end = server_end
        self._callbacks = {
            "on_message": on_message,
            "on_event": on_event,
            "on_ready": on_ready,
            "on_ended": on_ended,
            "on_outage": on_outage,
        }
        self.interpreter: Interpreter | None = None
        self.process: AsyncProcess | None = None
        self._arrival: asyncio.Future[Interpreter] = asyncio.get_running_loop().create_future()
        self._attending: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[bool] | None = None
        # The host starts the first interpreter before there is a slot.
        self._starting = True
        self._may_resume = True
        self._closed = 0
        self._wanted = False

    @property
    def is_starting(self) -> bool:
        """Whether an interpreter is being started."""
        return self._starting

    def arrival(self) -> asyncio.Future[Interpreter]:
        """Return a future for the next interpreter. It fails with DaytonaError if that cannot be started."""
        return asyncio.shield(self._arrival)

    def check(self) -> None:
        """Lose the interpreter if the server with its sandbox has ended.

        The interpreter and its connection may live for a moment longer. A cell that ran there would be lost
        with them.
        """
        if self.interpreter is not None and (reason := self._server_end()) is not None:
            failure = self.interpreter.lose(reason)
            if self._attending is not None:
                self._attending.cancel()
            self._lose(failure)

    def want(self) -> None:
        """Start an interpreter, unless there is one or one starts. A closed slot waits for `reopen`."""
        if self._closed:
            self._wanted = True
        elif self.interpreter is None and not self._starting:
            self._starting = True
            self._start(self._may_resume)

    def connect(self, process: AsyncProcess, make: Callable[..., Interpreter]) -> None:
        """Use a new interpreter, and let the waiting requests continue.

        process: the process API of the interpreter's sandbox.
        make: builds the interpreter, given the slot's callbacks.
        """
        if not self._starting:
            return  # the slot was closed meanwhile
        self._starting = False
        self._may_resume = True
        self.process = process
        self.interpreter = make(**self._callbacks)
        self._renew_arrival().set_result(self.interpreter)
        self._attending = asyncio.ensure_future(self._attend(self.interpreter))

    def fail_start(self, error: DaytonaError) -> None:
        """Fail the waiting requests, because the interpreter did not start. The next request tries again."""
        if not self._starting:
            return
        self._starting = False
        arrival = self._renew_arrival()
        arrival.set_exception(error)
        arrival.exception()  # without a waiting request, asyncio would log the error as never retrieved

    def close(self, seconds: float = ENDING_SECONDS) -> None:
        """Let go of the interpreter, and start none until `reopen`.

        Everything that runs in the interpreter fails with InterpreterReplacedError. The interpreter is asked
        to end, and has these seconds for it; see `ended`.
        """
        self._closed += 1
        self._starting = False
        interpreter, self.interpreter = self.interpreter, None
        if interpreter is not None and self._attending is not None:
            self._may_resume = False  # it ends
            self._on_left()
            interpreter.replace()
            self._ending = asyncio.ensure_future(self._end(interpreter, self._attending, seconds))
        self._attending = None

    def detach(self) -> None:
        """Let go of the interpreter, which lives on, and start none until `reopen`.

        Nothing must run in it. The next start may return to it. `ended` waits for the end of the connection.
        """
        self._closed += 1
        self._starting = False
        interpreter, self.interpreter = self.interpreter, None
        if interpreter is not None and self._attending is not None:
            self._on_left()
            interpreter.replace()
            self._ending = asyncio.ensure_future(_disconnect(self._attending))
        self._attending = None

    async def ended(self) -> bool:
        """Wait for the end of the interpreter that the slot has let go of; return whether it came in time."""
        return self._ending is None or await asyncio.shield(self._ending)

    def reopen(self, *, start: bool) -> None:
        """End one `close`. The next interpreter is started now if `start` or a request wants one."""
        self._closed -= 1
        self._wanted |= start
        if self._wanted and not self._closed:
            self._wanted = False
            self.want()

    async def _end(self, interpreter: Interpreter, attending: asyncio.Task[None], seconds: float) -> bool:
        ending = asyncio.ensure_future(interpreter.shut_down())
        ended, _ = await asyncio.wait(
            {ending, attending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (ending, attending):
            task.cancel()
        await asyncio.gather(ending, attending, return_exceptions=True)
        return bool(ended)

    async def _attend(self, interpreter: Interpreter) -> None:
        """Run an interpreter until it is lost. The next request starts another one.

        Without a request none is started: a sandbox that stopped because nobody used it stays stopped.
        """
        try:
            await interpreter.run()
        except InterpreterError as error:
            if self.interpreter is interpreter:
                self._lose(error)

    def _lose(self, error: InterpreterError) -> None:
        self._may_resume = isinstance(error, InterpreterUnreachableError)
        self._on_ended(str(error))
        self.interpreter = None

    def _renew_arrival(self) -> asyncio.Future[Interpreter]:
        """Return the future that requests wait for, and replace it with a new one."""
        arrival, self._arrival = self._arrival, asyncio.get_running_loop().create_future()
        return arrival


async def _disconnect(attending: asyncio.Task[None]) -> bool:
    """End the connection of an interpreter that lives on; return whether the interpreter has ended."""
    attending.cancel()
    await asyncio.gather(attending, return_exceptions=True)
    return False
