"""ipykernel as the agent's child: its process, and its channels.

The sockets are unix sockets in a private directory. Nobody else can reach them, so messages are not signed.
The child leads a new session and process group, so that an interrupt reaches it and everything that the
user's code started, but not the agent. A parent-death signal ends it with the agent.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# `stdin` comes first: an answer to `input()` must not wait behind a request.
REQUEST_CHANNELS = ("stdin", "shell", "control")


class SocketDirectory:
    """A directory for unix sockets, whose paths may have 107 characters at most.

    Agent and interpreter hold the directory open under one descriptor, and use that in place of its path,
    which may be long.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def socket_path(self, name: str) -> str:
        """Return the path of a socket, for this process and for the interpreter."""
        return f"/proc/self/fd/{self.descriptor}/{name}"


class InterpreterProcess:
    """The child, from fork to its end. The agent makes it before it imports zmq, since its start takes long.

    directory: the agent's private directory, for sockets and connection files.
    message_session: the id of the kernel's Jupyter message session, which the child's messages carry.
    options: words for the child's command line.
    """

    def __init__(
        self,
        directory: SocketDirectory,
        message_session: str,
        environment: dict[str, str],
        options: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._name = uuid.uuid4().hex[:8]
        connection_file = directory.path / f"{self._name}.json"
        connection_file.write_text(
            json.dumps(
                {
                    "transport": "ipc",
                    "ip": directory.socket_path(self._name),
                    "key": "",
                    "signature_scheme": "hmac-sha256",
                    **{f"{name}_port": port for port, name in enumerate(_SOCKETS, start=1)},
                }
            )
        )
        self._child = subprocess.Popen(
            # As ipykernel's own kernelspec has it: a debugger cannot stop in frozen modules.
            [
                sys.executable,
                "-Xfrozen_modules=off",
                *_own_command(),
                "interpreter",
                str(connection_file),
                str(os.getpid()),
                *options,
            ],
            env={**os.environ, **environment, "DAYTONA_MESSAGE_SESSION": message_session},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=[directory.descriptor],
            start_new_session=True,
        )
        self.pid = self._child.pid

    def address(self, channel: str) -> str:
        """Return the zmq address of a channel."""
        return f"ipc://{self._directory.socket_path(self._name)}-{_SOCKETS.index(channel) + 1}"

    def interrupt(self) -> None:
        """Send SIGINT to the child's process group, as Jupyter's local provisioner does."""
        self._signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGKILL to the child's process group. `ended` returns soon."""
        self._signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Wait for the child's end; return its exit status, or the negated signal."""
        descriptor = os.pidfd_open(self.pid)
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._child.wait()

    def kill(self) -> None:
        """End the child and its process group, and remove its files."""
        self._signal(signal.SIGKILL)
        self._child.wait()
        for file in self._directory.path.glob(f"{self._name}*"):
            file.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        # The group lives as long as any process in it, also after its leader has ended.
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


class InterpreterChannels:
    """The child's channels.

    on_message: called with each message that the interpreter sends.
    """

    def __init__(self, process: InterpreterProcess, on_message: Callable[[Message], None]) -> None:
        import zmq
        from zmq.eventloop.zmqstream import ZMQStream

        self._on_message = on_message
        self._context = zmq.Context()
        self._streams = {}
        self._heard = asyncio.Event()
        self._answered = asyncio.Event()
        self._probe = ""
        identity = uuid.uuid4().hex.encode()
        for channel in (*REQUEST_CHANNELS, "iopub"):
            socket = self._context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
            socket.linger = 0
            socket.reconnect_ivl = 2  # ms: the child is about to bind
            socket.reconnect_ivl_max = 16  # each attempt costs time that a child on a busy machine needs
            socket.rcvhwm = 0 if channel == "iopub" else socket.rcvhwm
            if channel == "iopub":
                socket.subscribe(b"")
            else:
                socket.identity = identity
            socket.connect(process.address(channel))
            self._streams[channel] = stream = ZMQStream(socket)
            stream.on_recv(self._receiver(channel))

    async def ready(self) -> dict[str, object]:
        """Wait until the interpreter answers and its iopub is heard; return its kernel_info.

        A subscription takes effect some time after it was made, and messages before that are lost. So this
        asks again until both sockets have received a message.
        """
        while not (self._answered.is_set() and self._heard.is_set()):
            self._answered.clear()
            self._probe = uuid.uuid4().hex
            self.send(_request("kernel_info_request", self._probe))
            await self._answered.wait()
            try:
                await asyncio.wait_for(self._heard.wait(), 0.05)
            except asyncio.TimeoutError:  # noqa: UP041  # another class in Python 3.10
                continue
        return self._kernel_info

    def send(self, message: Message) -> None:
        """Send a request on its channel."""
        self._streams[message.channel].send_multipart([b"<IDS|MSG>", b"", *message.parts])

    def request_shutdown(self) -> None:
        """Ask the interpreter to end."""
        self.send(_request("shutdown_request", uuid.uuid4().hex))

    def pause(self, paused: bool) -> None:
        """Stop taking output from the interpreter, or start again."""
        stream = self._streams["iopub"]
        if paused:
            stream.stop_on_recv()
        else:
            stream.on_recv(self._receiver("iopub"))

    def close(self) -> None:
        """Take the messages that have arrived, then close the sockets."""
        for stream in self._streams.values():
            stream.flush()
            stream.close(linger=0)
        self._context.destroy(linger=0)

    def _receiver(self, channel: str) -> Callable[[list[bytes]], None]:
        def receive(frames: list[bytes]) -> None:
            parts = frames[frames.index(b"<IDS|MSG>") + 2 :]
            message = Message(channel, parts)
            if channel == "iopub":
                self._heard.set()
            if self._probe and message.parent_id == self._probe:
                if message.msg_type == "kernel_info_reply":
                    self._kernel_info = message.content
                    self._answered.set()
                return
            self._on_message(message)

        return receive


_SOCKETS = ("shell", "iopub", "stdin", "control", "hb")


def _own_command() -> list[str]:
    """Return the arguments that run this program again: an archive, or a module of a package."""
    package = __package__.rpartition(".")[0]
    main = Path(sys.argv[0])
    return [str(main)] if main.suffix == ".pyz" else ["-m", f"{package}.agent"]


def _request(msg_type: str, msg_id: str) -> Message:
    header = {
        "msg_id": msg_id,
        "msg_type": msg_type,
        "username": "agent",
        "session": msg_id,
        "date": datetime.now(timezone.utc).isoformat(),  # noqa: UP017  # Python 3.10 has no UTC
        "version": "5.4",
    }
    if msg_type == "kernel_info_request":
        return Message.make("shell", header, {})
    return Message.make("control", header, {"restart": False})
