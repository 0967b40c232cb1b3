"""The host: the sandbox, the start of its interpreter, the magics, the comms and the leftover logs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError
from ...interpreter.gateway import AgentGateway
from ...interpreter.interpreter import Interpreter
from ...magics.permission import Folders
from ...magics.timing import showing
from ...views.leftover_log import read_leftover_logs
from ...wire.messages import Message
from .comms import Comms, current_request
from .magic_call import Shower
from .magic_calls import MagicCalls
from .permissions import Permissions
from .script_packages import ScriptPackages

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from ...interpreter.gateway import LaunchedAgent
    from ...wire.magic_messages import MagicAnswer
    from ..event_loop import EventLoop
    from ..magic_cell import MagicCell
    from ..out.outbox import Outbox
    from ..relay.relay import Relay
    from ..startup import Startup

_ACTIVITY_SECONDS = 60.0
# A front end connects to a kernel that has replaced a crashed one sooner than this.
_SUBSCRIBER_SECONDS = 5.0


class Host:
    """The part of the kernel on the API thread's loop.

    The public methods may be called from any thread, and hand their work over to that loop. The private
    methods run on it.

    startup: the parts that were started before the kernel. relay_loop: the loop of the relay.
    log: for defects of this program.
    """

    def __init__(self, startup: Startup, outbox: Outbox, relay_loop: EventLoop, log: logging.Logger) -> None:
        self.api = startup.api
        self.registry = startup.registry
        self.kernel_sandbox = startup.kernel_sandbox
        self._first_agent: Future[LaunchedAgent] | None = startup.agent
        self._log = log
        self._relay_loop = relay_loop
        self._relay: Relay
        self._outbox = outbox
        self._comms = Comms(outbox)
        permissions = Permissions(
            self.registry,
            self._running_cell,
            self._ask,
            Folders.from_settings(os.environ),
        )
        self._magic_calls = MagicCalls(
            self.registry,
            outbox,
            self.kernel_sandbox,
            permissions,
            running=self._running,
            completing=self._completing,
            ask=self._ask,
            move=self._move,
            pause=self._pause,
        )
        self.script_packages = ScriptPackages(self.kernel_sandbox)
        self._connecting: asyncio.Task[None] | None = None
        self._closing = False

    def serve(self, relay: Relay) -> None:
        """Start to work for a relay. Call this once, before the first request."""
        self._relay = relay
        self.api.call(self.kernel_sandbox.progress.watch, self._show_progress)
        self.start_interpreter(may_resume=True)
        self.api.start(self._keep_awake())
        self.api.start(self._open_leftover_logs())

    async def close(self, *, restart: bool, interpreter_ended: bool) -> None:
        """End the magics, and leave the sandbox to the next kernel (`restart`) or delete it.

        interpreter_ended: whether the interpreter needs no more time to end in good order.

        Raises DaytonaError if the sandbox cannot be left in good order.
        """
        await self.api.run(self._close(restart, interpreter_ended))

    # The interpreter

    def start_interpreter(self, may_resume: bool) -> None:
        """Start an interpreter for the relay's slot, which then gets the interpreter or the error.

        may_resume: whether the agent that the kernel has used before may be used again.
        """
        self.api.call(self._start_interpreter, may_resume)

    def _start_interpreter(self, may_resume: bool) -> None:
        if self._closing:
            return
        self._connecting = asyncio.ensure_future(self._connect_interpreter(may_resume))
        self._magic_calls.keep(self._connecting)

    async def _connect_interpreter(self, may_resume: bool) -> None:
        try:
            agent = await self._agent(may_resume)
            sandbox = await self.kernel_sandbox.sandbox()
        except DaytonaError as error:
            self._warn()
            self._relay_loop.call(self._relay.slot.fail_start, error)
            return
        except Exception as error:  # noqa: BLE001 - a defect here must not leave the cells waiting
            self._log.exception("The interpreter could not be started")
            failure = DaytonaError(f"The interpreter could not be started: {type(error).__name__}: {error}")
            self._relay_loop.call(self._relay.slot.fail_start, failure)
            return
        self._warn()
        self._tell()
        if self.kernel_sandbox.has_resumed:
            self._relay_loop.call(self._relay.adopted_cells.expect)
            self._relay_loop.call(self._relay.resume_interpreter)
            # The interpreter may have printed meanwhile. The front ends must not miss it.
            await self._relay_loop.run(self._outbox.wait_for_subscribers(_SUBSCRIBER_SECONDS))
        place = self.kernel_sandbox.place
        gateway = AgentGateway(
            sandbox, agent, self.api.run, place.server_end, place.rouse_server, self._resume
        )

        def make(**callbacks: Any) -> Interpreter:
            bookmark = self.kernel_sandbox.bookmark
            return Interpreter(gateway, agent.credentials, bookmark=bookmark, **callbacks)

        self._relay_loop.call(self._relay.slot.connect, sandbox.process, make)

    async def _resume(self) -> None:
        """Resume the sandbox for a cell that was sent to its interpreter. Raises DaytonaError."""
        await self.kernel_sandbox.revive()
        self._tell()

    def _tell(self) -> None:
        """Let the next cell say what happened to the sandbox."""
        for sentence in self.kernel_sandbox.take_news():
            self._relay_loop.call(self._relay.news.add, sentence)

    def _warn(self) -> None:
        """Let the next cell say, once, that sandboxes here are not isolated or lack something."""
        if warning := self.kernel_sandbox.place.take_warning():
            self._relay_loop.call(self._relay.news.add, warning)

    async def _move(self, request: Message, work: Callable[[], Awaitable[str]], start: bool) -> None:
        """Replace the sandbox for a cell. The relay decides when `work` runs; see relay.move.Move."""

        async def replace() -> str:
            # Only now: a move that the relay refuses must leave the slot's start alone.
            if self._connecting is not None:
                self._connecting.cancel()
            return await work()

        await self._relay_loop.run(self._relay.cells.move(request.msg_id, replace, start=start))

    async def _pause(self, request: Message, work: Callable[[], Awaitable[str]]) -> None:
        """Pause the sandbox for a cell. The relay decides when `work` runs; see relay.pause.Pause."""
        await self._relay_loop.run(self._relay.cells.pause(request.msg_id, work))

    # Magics

    def take_magic_request(self, message: Message) -> None:
        """Take a request of the interpreter: it calls or completes a magic, or answers one."""
        self.api.call(self._magic_calls.take, message, self._answer_magic)

    def cancel_magic(self, call_id: str) -> None:
        """Cancel a magic call, because its cell was interrupted or is gone."""
        self.api.start(self._magic_calls.cancel(call_id, self._answer_magic))

    def repeat_missed_updates(self, request: Message) -> None:
        """Update displays under a cell that has started, if the update came while no cell ran."""
        if self._magic_calls.missed:
            self.api.call(self._magic_calls.repeat_missed_updates, request)

    def cancel_magics(self) -> None:
        """Cancel all magic calls, because the interpreter is gone."""
        self.api.call(self._magic_calls.cancel_all)

    async def install_packages(self, code: str) -> None:
        """Install what the script blocks of the notebook and of this cell declare. Raises DaytonaError."""
        await self.api.run(self.script_packages.install(code))

    async def run_alone(self, request: Message, magic: MagicCell | None, why: Exception) -> None:
        """Run a cell without an interpreter: a magic, or code in a one-off run.

        why: the reason for the missing interpreter. Raises DaytonaError.
        """
        await self.api.run(self._magic_calls.run_alone(request, magic, why))
        self._warn()

    async def send_project(self, request: Message) -> None:
        """Send what has changed in the project, for a cell that waits. Raises DaytonaError."""
        await self.api.run(self._send_project(request))

    async def _send_project(self, request: Message) -> None:
        project = self.kernel_sandbox.project
        sandbox = await self.kernel_sandbox.sandbox()
        shower = Shower(self._magic_calls, request)
        async with showing(shower, project.mirror().progress.describe):
            await project.send(sandbox)
        if shower.has_shown:
            self._outbox.say(request, "clear_output", {"wait": False})

    def _running(self) -> Message | None:
        cell = self._relay.requests.first_cell
        return None if cell is None else cell.message

    def _running_cell(self, msg_id: str | None) -> Message | None:
        cell = self._relay.requests.running_cell(msg_id)
        return None if cell is None else cell.message

    def _completing(self, msg_id: str) -> Message | None:
        return self._relay.completing(msg_id)

    async def _ask(self, msg_id: str, prompt: str, password: bool = False) -> str | None:
        """Ask the front end of a running cell; see relay.questions."""
        return await self._relay_loop.run(self._relay.ask(msg_id, prompt, password=password))

    async def _answer_magic(self, answer: MagicAnswer) -> None:
        await self._relay_loop.run(self._relay.answer_magic(answer))

    # Comms

    def owned_comms(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """Return the kernel's own comms, as in a `comm_info_reply`; None selects all targets."""
        return self._comms.listed(target_name)

    def take_comm(self, message: Message) -> bool:
        """Take a front end's message for one of the kernel's own comms; return whether it was for one."""
        owned = self._comms.owns(message.content.get("comm_id", ""))
        if owned:
            self.api.call(self._comms.take, message)
        return owned

    # The sandbox

    async def _agent(self, may_resume: bool) -> LaunchedAgent:
        """Return an agent. The agent that was started before the kernel is used once."""
        first, self._first_agent = self._first_agent, None
        if first is not None:
            return await asyncio.wrap_future(first)
        return await self.kernel_sandbox.agent(may_resume=may_resume)

    async def _close(self, restart: bool, interpreter_ended: bool) -> None:
        self._closing = True
        await self._magic_calls.close()
        await self.kernel_sandbox.leave(restart=restart, interpreter_ended=interpreter_ended)

    async def _keep_awake(self) -> None:
        """Keep the sandbox from idling while a cell or a followed command runs, and only then."""
        while not self._closing:
            await asyncio.sleep(_ACTIVITY_SECONDS)
            if self._running() is not None or self._magic_calls.following:
                await self.kernel_sandbox.refresh_activity()

    async def _open_leftover_logs(self) -> None:
        """Open the views of the leftover logs in the notebook, so that pages can replace them."""
        leftover = await asyncio.to_thread(read_leftover_logs, os.environ.get("JPY_SESSION_NAME", ""))
        current_request.set(Message("shell", [b"{}"] * 4))  # no request causes these messages
        self._leftover_logs = [log.open() for log in leftover]

    def _show_progress(self, text: str) -> None:
        self._relay_loop.call(self._relay.show_progress, text, str(self.kernel_sandbox.place))
