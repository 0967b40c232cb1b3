"""The kernel's application: reads the command line and the connection file, and opens the sockets.

It does what ipykernel's application does for a kernel. That one also prepares IPython's shell, whose import
takes as long as the rest. No cell runs here, so this process needs no shell.
"""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import zmq
from ipykernel.control import ControlThread
from ipykernel.heartbeat import Heartbeat
from ipykernel.parentpoller import ParentPollerUnix, ParentPollerWindows
from ipykernel.shellchannel import ShellChannelThread
from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.session import Session, session_aliases, session_flags
from tornado.ioloop import IOLoop
from traitlets import Any, Instance
from traitlets.config import Application
from zmq.eventloop.zmqstream import ZMQStream

from .kernel import DaytonaKernel
from .out.iopub import IOPub
from .startup import Startup

_CHANNELS = ("shell", "iopub", "stdin", "hb", "control")
_LINGER = 1000  # ms, for the last messages
# Front ends try to connect before the kernel listens. The system may give such an attempt one of the kernel's
# ports, for a moment.
_TAKEN_SECONDS = 5.0
_PAUSE = 0.02


class DaytonaKernelApp(Application, ConnectionFileMixin):
    """Starts a DaytonaKernel on the sockets of a connection file.

    startup: the parts that the kernel uses, which are started before it.
    """

    name = "daytona-kernel"
    classes = [DaytonaKernel, Session]  # noqa: RUF012 - as in the base class
    aliases = {  # noqa: RUF012 - the short names of ipykernel's application
        **session_aliases,
        "f": "ConnectionFileMixin.connection_file",
        "ip": "ConnectionFileMixin.ip",
        "transport": "ConnectionFileMixin.transport",
        "log-level": "Application.log_level",
        **{name: f"ConnectionFileMixin.{name}_port" for name in _CHANNELS},
        # For IPython, and without effect here.
        "c": "InteractiveShellApp.code_to_run",
        "m": "InteractiveShellApp.module_to_run",
        "config": "BaseIPythonApplication.extra_config_file",
        "ipython-dir": "BaseIPythonApplication.ipython_dir",
        "profile": "BaseIPythonApplication.profile",
        "profile-dir": "ProfileDir.location",
    }
    flags = {  # noqa: RUF012 - as in the base class
        "debug": ({"Application": {"log_level": logging.DEBUG}}, "log everything"),
        "quiet": ({"Application": {"log_level": logging.CRITICAL}}, "log only critical errors"),
        **session_flags,
        **dict.fromkeys(("init", "no-stderr", "no-stdout", "trio-loop"), ({}, "without effect")),
    }
    startup = Instance(Startup)
    # The base class would import all of jupyter_client for this.
    blocking_class = Any()

    def initialize(self, argv: list[str] | None = None) -> None:
        """Open the sockets, and create the kernel."""
        super().initialize(argv)
        if Path(self.connection_file).exists():
            self.load_connection_file()
        if 0 in self.ports:  # the starter leaves the ports to the kernel
            self.write_connection_file()
            atexit.register(self.cleanup_connection_file)
        self._open_sockets()
        atexit.register(self._close)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._create_kernel()

    def start(self) -> None:
        """Run until Jupyter ends the kernel."""
        _watch_parent()
        self.kernel.start()
        gc.freeze()
        gc.enable()
        with suppress(KeyboardInterrupt):
            IOLoop.current().start()

    def _open_sockets(self) -> None:
        self.context = zmq.Context()
        self._routers = {name: self._bind(name, zmq.ROUTER) for name in ("shell", "stdin", "control")}
        for socket in self._routers.values():
            socket.router_handover = 1  # a front end keeps its identity when it connects again
        # The heartbeat has its own context: in a shared one, libzmq waits for Python's lock when it frees a
        # large message.
        self._heartbeat = Heartbeat(
            zmq.Context(),
            (self.transport, self.ip, self.hb_port),
            curve_publickey=self.curve_publickey,
            curve_secretkey=self.curve_secretkey,
        )
        self._heartbeat.start()
        self._control_thread = ControlThread(daemon=True)
        self._shell_thread = ShellChannelThread(self.context, daemon=True)
        self._iopub = IOPub(self._bind("iopub", zmq.XPUB), self._shell_thread, self.session)

    def _bind(self, name: str, kind: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.linger = _LINGER
        if self.curve_secretkey is not None:
            socket.curve_secretkey = self.curve_secretkey
            socket.curve_publickey = self.curve_publickey
            socket.curve_server = True
        separator = "-" if self.transport == "ipc" else ":"
        address = f"{self.transport}://{self.ip}{separator}{getattr(self, f'{name}_port')}"
        deadline = time.monotonic() + _TAKEN_SECONDS
        while True:
            try:
                socket.bind(address)
            except zmq.ZMQError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    socket.close()
                    raise
                time.sleep(_PAUSE)
            else:
                return socket

    def _create_kernel(self) -> None:
        shell_stream = ZMQStream(self._routers["shell"], self._shell_thread.io_loop)
        self._shell_thread.shell_stream = shell_stream
        control_stream = ZMQStream(self._routers["control"], self._control_thread.io_loop)
        self._control_thread.start()
        self._shell_thread.start()
        self.kernel = DaytonaKernel.instance(
            parent=self,
            session=self.session,
            control_stream=control_stream,
            shell_stream=shell_stream,
            control_thread=self._control_thread,
            shell_channel_thread=self._shell_thread,
            iopub_thread=self._iopub,
            iopub_socket=self._iopub,
            stdin_socket=self._routers["stdin"],
            log=self.log,
        )
        self.kernel.record_ports({f"{name}_port": getattr(self, f"{name}_port") for name in _CHANNELS})

    def _close(self) -> None:
        self._heartbeat.context.term()
        self._iopub.stop()
        for thread in (self._control_thread, self._shell_thread):
            if thread.is_alive():
                thread.stop()
                thread.join()
        for socket in self._routers.values():
            socket.close()
        self.context.term()


def _watch_parent() -> None:
    """End this process when the process ends that has started it. Jupyter says in the environment which."""
    parent = int(os.environ.get("JPY_PARENT_PID") or 0)
    if sys.platform == "win32":
        interrupt = int(os.environ.get("JPY_INTERRUPT_EVENT") or 0)
        if interrupt or parent:
            ParentPollerWindows(interrupt, parent).start()
    elif parent > 1:  # process 1 never ends, and processes without a parent get it
        ParentPollerUnix(parent_pid=parent).start()


def main(startup: Startup, words: list[str]) -> None:
    """Run the kernel, as `python -m daytona_kernel` with these words: `-f CONNECTION_FILE` and others."""
    DaytonaKernelApp.launch_instance(words, startup=startup)
