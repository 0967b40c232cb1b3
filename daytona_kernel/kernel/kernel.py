"""The kernel that Jupyter talks to.

Three event loops, each for what must not wait for the others: the shell channel's thread has the
relay, the control thread answers Jupyter's commands, and the API's thread has the client, the
magics and the log views. The main thread has nothing to do but what the base class does there.
"""

from __future__ import annotations

import asyncio
import os
import platform
from typing import TYPE_CHECKING, Any, TypeVar

from ipykernel.kernelbase import Kernel
from zmq.eventloop.zmqstream import ZMQStream

from .._version import __version__
from ..errors import DaytonaError
from ..interpreter.interpreter import Interpreter
from ..interpreter.launcher import AgentGateway, LaunchedAgent
from ..views.leftover_log import read_leftover_logs
from ..wire.messages import Message, Part
from .host.comms import Comms, current_request
from .host.magic_calls import MagicCalls
from .out.iopub import running_loop
from .out.outbox import Outbox
from .relay.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    import zmq

    from ..magics.registry import Registry
    from .host.api_thread import ApiThread
    from .host.kernel_sandbox import KernelSandbox
    from .magic_cell import MagicCell

T = TypeVar("T")

# Jupyter starts to terminate a kernel 2.5 s after it asked it to shut down.
_LEAVING_SECONDS = 2.0
_ACTIVITY_SECONDS = 60.0

# Answered by the interpreter, on its control channel.
_RELAYED_CONTROL = ("debug_request", "usage_request")
# Answered by the kernel, since they are not about code.
_OWN_SHELL = ("kernel_info_request", "connect_request", "shutdown_request", "interrupt_request")


class DaytonaKernel(Kernel):
    """A kernel whose interpreter is in a Daytona sandbox."""

    api: ApiThread
    registry: Registry
    kernel_sandbox: KernelSandbox
    first_agent: Future[LaunchedAgent] | None
    _leaving = False

    implementation = "daytona_kernel"
    implementation_version = __version__
    banner = f"Daytona (Python), daytona-kernel {__version__}: cells run in a sandbox"
    help_links = [{"text": "Daytona", "url": "https://www.daytona.io/docs"}]  # noqa: RUF012
    # Until the sandbox's own is known: what a front end needs to colour and to save a notebook.
    language_info = {  # noqa: RUF012
        "name": "python",
        "version": platform.python_version(),
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }

    # The same, what an ipykernel that was just installed has; a sandbox may lack debugpy.
    _features: Sequence[str] = ("kernel subshells", "debugger")

    def start(self) -> None:
        """Register the handlers, and connect to the interpreter that is being started already."""
        self.session.session = self.kernel_sandbox.message_session
        self._relay_loop: asyncio.AbstractEventLoop = self.shell_channel_thread.io_loop.asyncio_loop
        control_loop: asyncio.AbstractEventLoop = self.control_thread.io_loop.asyncio_loop
        self.outbox = Outbox(
            self.session,
            self.iopub_thread,
            {
                "shell": self._sender(self._relay_loop, lambda: self.shell_stream),
                "stdin": self._sender(self._relay_loop, lambda: self._stdin_stream),
                "control": self._sender(control_loop, lambda: self.control_stream),
            },
        )
        self.comms = Comms(self.outbox)
        self.calls = MagicCalls(
            self.registry,
            self.outbox,
            self.kernel_sandbox,
            lambda: self.relay.running,
            self._leave_interpreter,
        )
        self._connecting: asyncio.Task[None] | None = None
        made = asyncio.run_coroutine_threadsafe(self._make_relay(), self._relay_loop)
        made.result()
        super().start()
        self.api.call(self.kernel_sandbox.watch_progress, self._tell_progress)
        self.api.call(self._start_interpreter)
        self.api.start(self._keep_awake())
        self.api.start(self._open_leftover_logs())

    async def _make_relay(self) -> None:
        self.relay = Relay(self.outbox, self)
        # The base class reads this socket from its main thread; here nobody waits in a thread.
        self._stdin_stream = ZMQStream(self.stdin_socket, self.shell_channel_thread.io_loop)
        self._stdin_stream.on_recv(self._take_input)

    # From front ends

    async def shell_channel_thread_main(self, msg: list[zmq.Frame]) -> None:
        """Take a shell request, on the relay's loop; what is not the interpreter's goes the base's way."""
        if (parsed := self._parsed("shell", msg)) is None:
            return
        idents, parts, message = parsed
        if message.msg_type in _OWN_SHELL:
            await super().shell_channel_thread_main(msg)
            return
        if not self._verified(parts):
            return
        if message.msg_type in ("comm_msg", "comm_close") and self._take_comm(message):
            return
        await self.relay.take(message, idents)

    async def dispatch_control(self, msg: list[zmq.Frame]) -> None:
        """Take a control request, on the control thread's loop."""
        if (parsed := self._parsed("control", msg)) is None:
            return
        idents, parts, message = parsed
        if message.msg_type not in _RELAYED_CONTROL:
            await super().dispatch_control(msg)
            return
        if self._verified(parts):
            await self._on_relay(self.relay.forward_control(message, idents))

    def _take_input(self, frames: list[bytes]) -> None:
        _, parts = self.session.feed_identities(frames)
        if self._verified(parts):
            self.relay.take_input(Message("stdin", parts[1:]))

    def _parsed(self, channel: str, msg: list[zmq.Frame]) -> tuple[list[bytes], list[bytes], Message] | None:
        """Take a message apart: who asks, the signed parts, and the message, which is not verified yet."""
        try:
            idents, parts = self.session.feed_identities([frame.bytes for frame in msg])
            message = Message(channel, parts[1:])
            self.log.debug("%s: %s", channel, message.msg_type)
        except (ValueError, IndexError) as error:
            self.log.error("What is no message was dropped: %s", error)
            return None
        return idents, parts, message

    def _verified(self, parts: list[bytes]) -> bool:
        """Check a message's signature, and that it did not come before."""
        try:
            self.session.deserialize(parts)
        except Exception as error:
            self.log.error("A message of a front end was dropped: %s", error)
            return False
        return True

    def _take_comm(self, message: Message) -> bool:
        """Hand a message to a comm of this process; return whether it was for one."""
        if not self.comms.owns(message.content.get("comm_id", "")):
            return False

        def take() -> None:
            self.outbox.say(message, "status", {"execution_state": "busy"})
            try:
                self.comms.take(message)
            finally:
                self.outbox.say(message, "status", {"execution_state": "idle"})

        self.api.call(take)
        return True

    async def interrupt_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Interrupt the interpreter, never this process."""
        await self._on_relay(self.relay.interrupt())
        self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    async def create_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Give out an id of the kernel's own; see kernel.subshells."""

        async def create() -> str:
            return self.relay.subshells.create()

        content = {"status": "ok", "subshell_id": await self._on_relay(create())}
        self.session.send(stream, "create_subshell_reply", content, parent, ident=ident)

    async def delete_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """See create_subshell_request."""
        subshell_id = str(parent["content"].get("subshell_id"))

        async def delete() -> None:
            self.relay.subshells.delete(subshell_id)

        content: dict[str, Any] = {"status": "ok"}
        try:
            await self._on_relay(delete())
        except KeyError:
            evalue = f"Unknown subshell_id {subshell_id!r}"
            content = {"status": "error", "ename": "UnknownSubshellError", "evalue": evalue, "traceback": []}
        self.session.send(stream, "delete_subshell_reply", content, parent, ident=ident)

    async def list_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """See create_subshell_request."""
        content = {"status": "ok", "subshell_id": self.relay.subshells.ids}
        self.session.send(stream, "list_subshell_reply", content, parent, ident=ident)

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End the interpreter, and unless this is a restart the sandbox that this kernel made."""

        async def leave() -> None:
            # The interpreter that ends now is not to be replaced.
            self._leaving = True
            await self.calls.close()
            await self.kernel_sandbox.leave(restart=restart)

        try:
            await self._on_relay(self.relay.close())
            await asyncio.wait_for(self.api.run(leave()), _LEAVING_SECONDS)
        except (TimeoutError, DaytonaError) as error:
            self.log.warning("The sandbox could not be left in good order: %s", error)
        return {"status": "ok", "restart": restart}

    @property
    def kernel_info(self) -> dict[str, Any]:
        """What the sandbox's interpreter is known to be; never what is installed beside this kernel."""
        return {
            "protocol_version": "5.4",
            "implementation": self.implementation,
            "implementation_version": self.implementation_version,
            "language_info": self.language_info,
            "banner": "\n".join(filter(None, (self.banner, self.kernel_sandbox.note))),
            "help_links": self.help_links,
            "supported_features": self._features,
        }

    # For the relay; each may be called from its loop. See owner.Owner.

    def interpreter_wanted(self) -> None:
        """See Owner."""
        self.api.call(self._start_interpreter)

    def interpreter_ready(self, kernel_info: dict[str, Any]) -> None:
        """See Owner."""
        self.language_info = kernel_info.get("language_info", self.language_info)
        self._features = kernel_info.get("supported_features", self._features)

    def interpreter_ended(self) -> None:
        """See Owner."""
        self.api.call(self.calls.cancel_all)

    @property
    def magic_names(self) -> Registry:
        """See Owner."""
        return self.registry

    async def run_without(self, request: Message, magic: MagicCell | None, why: Exception) -> None:
        """See Owner."""
        await self.api.run(self.calls.run_alone(request, magic, why))

    def owned_comms(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """See Owner."""
        return self.comms.listed(target_name)

    def magic_called(self, message: Message) -> None:
        """See Owner."""
        self.api.call(self.calls.start, message, self._answer_magic)

    def magic_closed(self, call_id: str) -> None:
        """See Owner."""
        self.api.start(self.calls.cancel(call_id, self._answer_magic))

    async def _answer_magic(self, call_id: str, event: dict[str, Any]) -> None:
        await self._on_relay(self.relay.answer_magic(call_id, event))

    # The interpreter, on the API's loop

    def _start_interpreter(self) -> None:
        if self._leaving:
            return
        self._connecting = asyncio.ensure_future(self._connect_interpreter())
        self.calls.keep(self._connecting)

    async def _connect_interpreter(self) -> None:
        try:
            # What was begun before the kernel was there is awaited once; after that, begun anew.
            first, self.first_agent = self.first_agent, None
            agent = await (self.kernel_sandbox.agent() if first is None else asyncio.wrap_future(first))
            sandbox = await self.kernel_sandbox.sandbox()
        except DaytonaError as error:
            self._relay_loop.call_soon_threadsafe(self.relay.fail_start, error)
            return
        except Exception as error:
            self.log.exception("The interpreter could not be started")
            failure = DaytonaError(f"The interpreter could not be started: {type(error).__name__}: {error}")
            self._relay_loop.call_soon_threadsafe(self.relay.fail_start, failure)
            return
        gateway = AgentGateway(sandbox, agent, self.api.run)

        def make(**callbacks: Any) -> Interpreter:
            return Interpreter(gateway, agent.credentials, **callbacks)

        self._relay_loop.call_soon_threadsafe(self.relay.connect, sandbox.process, make)

    async def _leave_interpreter(
        self, request: Message, finish: Callable[[], Coroutine[Any, Any, bool]]
    ) -> None:
        """See MagicCalls. A cell that the interpreter runs waits for this on the relay's loop."""
        if self._connecting is not None:
            self._connecting.cancel()

        async def finish_there() -> None:
            await self.relay.start_next(request.msg_id, at_once=await self.api.run(finish()))

        if not await self._on_relay(self.relay.let_go(request.msg_id, finish_there)):
            at_once = await finish()
            await self._on_relay(self.relay.start_next(request.msg_id, at_once=at_once))

    def _tell_progress(self, text: str) -> None:
        self._relay_loop.call_soon_threadsafe(self.relay.tell_progress, text)

    async def _keep_awake(self) -> None:
        """Keep the sandbox from idling while a cell or a followed command runs, and only then."""
        while not self._leaving:
            await asyncio.sleep(_ACTIVITY_SECONDS)
            if self.relay.running is not None or self.calls.following:
                await self.kernel_sandbox.refresh_activity()

    async def _open_leftover_logs(self) -> None:
        """Open the views of the leftover logs in the notebook, so that pages can replace them."""
        leftover = await asyncio.to_thread(read_leftover_logs, os.environ.get("JPY_SESSION_NAME", ""))
        current_request.set(Message("shell", [b"{}"] * 4))  # nobody asked
        self._leftover_logs = [log.open() for log in leftover]

    # Between the loops

    async def _on_relay(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._relay_loop))

    @staticmethod
    def _sender(
        loop: asyncio.AbstractEventLoop, stream: Callable[[], ZMQStream]
    ) -> Callable[[list[Part]], None]:
        """What sends frames on a stream that belongs to a loop, called from any thread."""

        def send(frames: list[Part]) -> None:
            if running_loop() is loop:
                stream().send_multipart(frames)
            else:
                loop.call_soon_threadsafe(stream().send_multipart, frames)

        return send
