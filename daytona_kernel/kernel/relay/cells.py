"""The execution of cells: in the interpreter, or by the kernel alone when there is no interpreter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import (
    CellUnstartedError,
    DaytonaError,
    InterpreterError,
    InterpreterReplacedError,
    IsolationError,
)
from ...wire.conventions import RESUME_TYPE
from ..magic_cell import parse_magic_cell
from .given_variables import GivenVariables
from .move import Move
from .pause import Pause
from .preparation import Preparation
from .requests import WaitInterruptedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...interpreter.interpreter import Interpreter
    from ...wire.messages import Message
    from ..host.host import Host
    from ..out.outbox import Outbox
    from .failures import Failures
    from .notices import News, WaitingNotice
    from .own_requests import OwnRequests
    from .request_table import RequestTable
    from .requests import Request, StandIn
    from .slot import InterpreterSlot
    from .subshells import Subshells

# Seconds that a cell with a kernel magic waits for the interpreter. After that, the kernel runs it alone.
_MAGIC_WAIT_SECONDS = 3.0

_UNSTARTED = "The cell was still waiting for Python in its sandbox, and nothing of it has run. Run it again."
_QUESTION = "{error}\nRun this kernel's code without isolation? [y/N] "
_UNPAUSED = "The pause was interrupted; nothing was done."
_UNMOVED = "Switching sandboxes was interrupted; cells still run in the current sandbox."


class Cells:
    """Executes cells. It belongs to the relay's loop.

    requests: the relay's table of requests without a reply, by message id.
    publish: passes a message of the interpreter on to front ends.
    on_end: called with the request of each cell that has ended.
    ask: asks the client of a running cell, and returns the answer; None without one.
    """

    def __init__(
        self,
        host: Host,
        slot: InterpreterSlot,
        outbox: Outbox,
        stand_in: StandIn,
        subshells: Subshells,
        waiting_notice: WaitingNotice,
        news: News,
        failures: Failures,
        own_requests: OwnRequests,
        requests: RequestTable,
        publish: Callable[[Message], None],
        on_end: Callable[[Request], None],
        ask: Callable[[Request, str], Awaitable[str | None]],
    ) -> None:
        self._host = host
        self._slot = slot
        self._outbox = outbox
        self._stand_in = stand_in
        self._subshells = subshells
        self._waiting_notice = waiting_notice
        self._news = news
        self._failures = failures
        self._own_requests = own_requests
        self.given_variables = GivenVariables(own_requests, lambda: host.kernel_sandbox.secrets.variables)
        self._requests = requests
        self.preparation = Preparation(host, stand_in, waiting_notice)
        self._publish = publish
        self._on_end = on_end
        self._ask = ask

    async def run(self, request: Request, code: str) -> None:
        """Run a cell, and answer its request. It never raises an error of the cell."""
        self._outbox.running_cells.add(request.message.msg_id)
        try:
            while not await self._run_once_isolated(request, code):
                pass
        except WaitInterruptedError as error:
            await self._fail(request, "KeyboardInterrupt", str(error) or _UNSTARTED)
        except CellUnstartedError:
            await self._fail(request, "KeyboardInterrupt", _UNSTARTED)
        except DaytonaError as error:
            await self._fail(request, type(error).__name__, str(error))
        except Exception as error:
            await self._fail(request, type(error).__name__, f"The kernel could not run this cell: {error}")
            raise
        finally:
            self._requests.pop(request.message.msg_id, None)
            self._outbox.running_cells.remove(request.message.msg_id)
            self._on_end(request)
            if request.move is not None:
                request.move.abandon()

    async def _run_once_isolated(self, request: Request, code: str) -> bool:
        """Run a cell as `_run_once` does. If sandboxes cannot be isolated, ask whether to go on without."""
        try:
            return await self._run_once(request, code)
        except IsolationError as error:
            can_ask = error.by_machine and request.message.content.get("allow_stdin") is True
            if not can_ask or not await request.until_interrupted(self._agrees(request, error)):
                raise
            self._host.kernel_sandbox.place.give_up_isolation()
            return False

    async def _agrees(self, request: Request, error: IsolationError) -> bool:
        answer = await self._ask(request, _QUESTION.format(error=error.message))
        return answer is not None and answer.strip().lower() in ("y", "yes")

    async def _run_once(self, request: Request, code: str) -> bool:
        """Run a cell; return False if the interpreter was replaced and the cell must run in the next one."""
        if self._failures.must_abort(request):
            await self._abort(request)
            return True
        magic = parse_magic_cell(code, self._host.registry)
        if magic is None:  # a magic needs no packages, and may replace a sandbox that cannot have them
            await self.preparation.install_packages(request, code)
        try:
            # Not wait_for: its task needs more turns of the loop, and later cells would overtake this one.
            async with asyncio.timeout(None if magic is None else _MAGIC_WAIT_SECONDS):
                interpreter = await self.await_interpreter(request)
        except (TimeoutError, InterpreterError) as error:
            # The sandbox may be usable although it has no interpreter, or none yet.
            request.alone = True
            self._stand_in.number(request)
            await request.until_interrupted(self._host.run_alone(request.message, magic, error))
            self._waiting_notice.clear(request)
            self._news.show(request)
            self._stand_in.succeed(request)
            return True
        if self._host.kernel_sandbox.project.is_sent:
            await self.preparation.send_project(request, code)
            if self._slot.interpreter is not interpreter:
                return False
        if request.aborted:  # an earlier cell has failed without an interpreter
            await self._abort(request)
            return True
        self._waiting_notice.clear(request)
        self._news.show(request)
        message = await self._subshells.address(request.message)
        on_message = self._publish_after_announcement if request.announced else self._publish
        process = self._slot.process
        assert process is not None
        subshell_id = message.header.get("subshell_id")
        self.given_variables.give(subshell_id)
        if self._failures.ends_with(request):
            self._own_requests.post("shell", RESUME_TYPE, {}, subshell_id)
        try:
            # Each cell goes through process.code_run, the client's one way to run code, so that a program
            # with the client can do all that the kernel does. The request already carries the code as the
            # front end sent it. Output and reply arrive at on_message, so the response has no use here.
            await process.code_run(code, interpreter=interpreter, on_message=on_message, request=message)
            await self._failures.wait(request)
            await self._pause_after(request)
        except InterpreterReplacedError:
            if request.move is None:
                return False
            request.announced = True  # the interpreter has published `busy`
            await request.move.finish()
            self._stand_in.succeed(request)
        return True

    async def move(self, msg_id: str, work: Callable[[], Awaitable[str]], *, start: bool) -> None:
        """Replace the sandbox, for the cell with this message id; see Move.

        If the cell runs in the interpreter, this returns when the interpreter is gone, and `run`
        finishes the move. If the kernel runs the cell alone, this returns when the move is finished.

        Raises DaytonaError if the cell has been interrupted, or if the kernel runs it and `work` fails.
        """
        request = self._requests.get(msg_id)
        if request is None:
            raise DaytonaError(_UNMOVED)
        request.move = Move(
            request,
            work,
            start=start,
            slot=self._slot,
            api=self._host.api,
            outbox=self._outbox,
            others_wait=lambda: self._requests.has_others(request),
        )
        request.move.leave()
        if request.alone:
            await request.move.finish()

    async def pause(self, msg_id: str, work: Callable[[], Awaitable[str]]) -> None:
        """Pause the sandbox, for the cell with this message id, when the cell has ended; see Pause.

        If the kernel runs the cell alone, this returns when the sandbox is paused. Raises DaytonaError.
        """
        request = self._requests.get(msg_id)
        if request is None:
            raise DaytonaError(_UNPAUSED)
        request.pause = Pause(
            request,
            work,
            slot=self._slot,
            api=self._host.api,
            outbox=self._outbox,
            others_run=lambda: self._requests.has_others(request),
        )
        if request.alone:
            await request.pause.finish()

    async def _pause_after(self, request: Request) -> None:
        """Pause the sandbox if the cell wants it, which has ended in the interpreter, and pass on its end."""
        if request.pause is None:
            return
        request.announced = True  # the interpreter has published `busy`
        held = await request.pause.finish()
        request.pause = None
        for message in held:
            self._publish(message)

    async def await_interpreter(self, request: Request) -> Interpreter:
        """Return the interpreter; start one if there is none, and wait for it unless interrupted."""
        self._slot.check()
        while (interpreter := self._slot.interpreter) is None:
            self._slot.want()
            self._stand_in.announce(request)
            self._waiting_notice.schedule()
            await request.until_interrupted(self._slot.arrival())
        return interpreter

    async def _fail(self, request: Request, ename: str, evalue: str) -> None:
        if request.aborted:
            await self._abort(request)
            return
        if request.stop_on_error:
            for other in self._requests.cells():
                if other.queue == request.queue and other is not request:
                    other.aborted = True
            self._failures.begin(request, in_interpreter=False)
            await self._failures.wait(request)
        self._waiting_notice.clear(request)
        self._stand_in.fail(request, ename, evalue)

    async def _abort(self, request: Request) -> None:
        """Answer a cell behind a failed one, after the failed one's reply."""
        await self._failures.wait(request)
        self._waiting_notice.clear(request)
        self._stand_in.abort(request)

    def _publish_after_announcement(self, message: Message) -> None:
        """Publish a message, unless it is the status `busy`, which the relay has published already."""
        if message.msg_type != "status" or message.content.get("execution_state") != "busy":
            self._publish(message)
