"""The kernel's sockets: takes Jupyter's messages, checks them, and hands them to the relay or the host.

Shell requests arrive on the relay's loop, control requests on the control thread's loop. The main thread
only does what ipykernel's base class does there.
"""

from __future__ import annotations

import asyncio
import platform
import time
from typing import TYPE_CHECKING, Any

import traitlets
from ipykernel.kernelbase import Kernel
from zmq.eventloop.zmqstream import ZMQStream

from .._version import __version__
from ..errors import DaytonaError
from ..wire.messages import Message, Part
from .event_loop import EventLoop
from .host.host import Host
from .out.outbox import Outbox
from .relay import gate
from .relay.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    import zmq

    from .startup import Startup

# Jupyter starts to terminate a kernel 2.5 s after the shutdown request.
_CLOSING_SECONDS = 2.0
_LEAST_CLOSING_SECONDS = 0.4

# Requests that the kernel answers, because they are not about code: on both channels, and on control.
_OWN_SHELL = ("kernel_info_request", "connect_request", "shutdown_request", "interrupt_request")
_OWN_CONTROL = (*_OWN_SHELL, "create_subshell_request", "delete_subshell_request", "list_subshell_request")


class DaytonaKernel(Kernel):
    """A kernel whose interpreter is in a Daytona sandbox."""

    implementation = "daytona_kernel"
    implementation_version = __version__
    banner = f"Daytona (Python), daytona-kernel {__version__}: cells run"
    help_links = [{"text": "Daytona", "url": "https://www.daytona.io/docs"}]  # noqa: RUF012 - as in the base class
    # Front ends need these values to color and to save a notebook before there is an interpreter.
    language_info = {  # noqa: RUF012 - as in the base class
        "name": "python",
        "version": platform.python_version(),
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }
    # The features of a new ipykernel. An interpreter without debugpy reports fewer.
    supported_features = ("kernel subshells", "debugger")
    # The base class would import IPython for the type of this.
    profile_dir = traitlets.Any()

    def start(self) -> None:
        """Create the host and the relay, and register the handlers for messages."""
        startup: Startup = self.parent.startup
        self.session.session = startup.kernel_sandbox.message_session
        self._relay_loop = EventLoop(self.shell_channel_thread.io_loop.asyncio_loop)
        control_loop = EventLoop(self.control_thread.io_loop.asyncio_loop)
        outbox = Outbox(
            self.session,
            self.iopub_thread,
            {
                "shell": _sender(self._relay_loop, lambda: self.shell_stream),
                "stdin": _sender(self._relay_loop, lambda: self._stdin_stream),
                "control": _sender(control_loop, lambda: self.control_stream),
            },
        )
        self.host = Host(startup, outbox, self._relay_loop, self.log)
        self._relay_loop.start(self._start_relay(outbox)).result()
        super().start()
        self.host.serve(self.relay)

    async def _start_relay(self, outbox: Outbox) -> None:
        """Create the parts that belong to the relay's loop. This runs there."""
        self.relay = Relay(outbox, self.host)
        # The base class reads this socket in its main thread. Here no thread waits for input.
        self._stdin_stream = ZMQStream(self.stdin_socket, self.shell_channel_thread.io_loop)
        self._stdin_stream.on_recv(self._take_input)

    # On the relay's loop

    async def shell_channel_thread_main(self, msg: list[zmq.Frame]) -> None:
        """Take a shell request. The base class answers those that are not for the interpreter."""
        if (parsed := self._parsed("shell", msg)) is None:
            return
        idents, parts, message = parsed
        if message.msg_type in _OWN_SHELL:
            await super().shell_channel_thread_main(msg)
            return
        if not self._verified(parts):
            return
        if message.msg_type in ("comm_msg", "comm_close") and self.host.take_comm(message):
            return
        await self.relay.take(message, idents)

    def _take_input(self, frames: list[bytes]) -> None:
        idents, parts = self.session.feed_identities(frames)
        if self._verified(parts):
            self.relay.take_input(Message("stdin", parts[1:]), idents)

    # On the control thread's loop

    async def dispatch_control(self, msg: list[zmq.Frame]) -> None:
        """Take a control request. The base class answers those that are not for the interpreter.

        It also takes messages that are no requests, and need no answer.
        """
        if (parsed := self._parsed("control", msg)) is None:
            return
        idents, parts, message = parsed
        if message.msg_type in _OWN_CONTROL or not message.msg_type.endswith("_request"):
            await super().dispatch_control(msg)
            return
        if self._verified(parts):
            await self._relay_loop.run(self.relay.take_control(message, idents))

    async def interrupt_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Interrupt the interpreter, never this process."""
        await self._relay_loop.run(self.relay.interrupt())
        self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    async def create_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Create a subshell under an id that the kernel makes; see relay.subshells."""

        async def create() -> str:
            return self.relay.subshells.create()

        content = {"status": "ok", "subshell_id": await self._relay_loop.run(create())}
        self.session.send(stream, "create_subshell_reply", content, parent, ident=ident)

    async def delete_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Delete a subshell."""
        subshell_id = str(parent["content"].get("subshell_id"))

        async def delete() -> None:
            self.relay.subshells.delete(subshell_id)

        content: dict[str, Any] = {"status": "ok"}
        try:
            await self._relay_loop.run(delete())
        except KeyError:
            evalue = f"Unknown subshell_id {subshell_id!r}"
            content = {"status": "error", "ename": "UnknownSubshellError", "evalue": evalue, "traceback": []}
        self.session.send(stream, "delete_subshell_reply", content, parent, ident=ident)

    async def list_subshell_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """List the subshells of the front ends."""
        content = {"status": "ok", "subshell_id": self.relay.subshells.ids}
        self.session.send(stream, "list_subshell_reply", content, parent, ident=ident)

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End the interpreter, unless it lives on, and leave or delete the sandbox; see KernelSandbox."""
        started = time.monotonic()
        try:
            lives_on = not restart and self.host.kernel_sandbox.keeps_interpreter
            ended = await self._relay_loop.run(self.relay.close(lives_on=lives_on))
            closing = self.host.close(restart=restart, interpreter_ended=ended)
            left = _CLOSING_SECONDS - (time.monotonic() - started)
            await asyncio.wait_for(closing, max(left, _LEAST_CLOSING_SECONDS))
        except (TimeoutError, DaytonaError) as error:
            reason = str(error) or f"The server has not answered for {_CLOSING_SECONDS:.0f} seconds."
            self.log.warning("The sandbox could not be left in good order. %s", reason)
            if not restart:
                self.host.kernel_sandbox.leave_later()
        return {"status": "ok", "restart": restart}

    # On either loop

    @property
    def kernel_info(self) -> dict[str, Any]:
        """The content of a `kernel_info_reply`. It describes the sandbox's interpreter, not this process."""
        known = self.relay.kernel_info
        place = str(self.host.kernel_sandbox.place) or "in a sandbox"
        return {
            "protocol_version": "5.4",
            "implementation": self.implementation,
            "implementation_version": self.implementation_version,
            "language_info": {
                **self.language_info,
                "version": gate.language_version(known, platform.python_version()),
            },
            "banner": "\n".join(
                filter(None, (f"{self.banner} {place}", self.host.kernel_sandbox.place.note))
            ),
            "help_links": self.help_links,
            "supported_features": gate.features(known, self.supported_features),
        }

    def _parsed(self, channel: str, msg: list[zmq.Frame]) -> tuple[list[bytes], list[bytes], Message] | None:
        """Return a message's identities, its signed parts, and the unverified message; None if malformed."""
        try:
            idents, parts = self.session.feed_identities([frame.bytes for frame in msg])
            message = Message(channel, parts[1:])
            self.log.debug("%s: %s", channel, message.msg_type)
        except (ValueError, IndexError) as error:
            self.log.error("Dropped a malformed message: %s", error)  # noqa: TRY400 - a traceback says no more
            return None
        return idents, parts, message

    def _verified(self, parts: list[bytes]) -> bool:
        """Return whether a message has a valid signature and is not a replay.

        The session records signatures only when it also parses the content, so the parsed content is
        thrown away here.
        """
        try:
            self.session.deserialize(parts)
        except Exception as error:  # noqa: BLE001 - the session raises whatever a broken message causes
            self.log.error("Dropped a front end's message: %s", error)  # noqa: TRY400 - see _parsed
            return False
        return True


def _sender(loop: EventLoop, stream: Callable[[], ZMQStream]) -> Callable[[list[Part]], None]:
    """Return a function that sends frames on a stream of `loop`, from any thread."""

    def send(frames: list[Part]) -> None:
        if loop.is_running_here:
            stream().send_multipart(frames)
        else:
            loop.call(stream().send_multipart, frames)

    return send
