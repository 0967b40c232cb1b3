"""The interpreter: ipykernel's own application, with the changes that the agent needs.

It ends with the agent even while C code holds the interpreter lock; ipykernel's own parent poller is a
Python thread and cannot do so. It never drops output for a slow reader. Messages of widgets reach the
subshell that the front end chose. Completion answers in time, and an interrupt stops only the cell.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import ipykernel
import zmq
from ipykernel import kernelapp
from ipykernel.comm.comm import BaseComm
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelbase import Kernel
from traitlets import Type, default

from ..wire.conventions import ENVIRONMENT_TYPE, OWN_KEY, RESUME_TYPE
from . import package_magics, postponed_debugger, temporary
from .completion import TimelyCompletion
from .given_environment import GivenEnvironment
from .interrupts import Interrupts
from .magics import KernelMagics
from .postponed_debugger import PostponedDebugger

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_PR_SET_PDEATHSIG = 1


def main(connection_file: str, agent_pid: int, options: list[str]) -> None:
    """Run until the agent ends this process.

    agent_pid: the parent, whose death ends this process, too. options: words for ipykernel's command line.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent_pid:
        sys.exit("the agent ended before its interpreter had started")
    message_session = os.environ.pop("DAYTONA_MESSAGE_SESSION")
    magic_socket = os.environ.pop("DAYTONA_MAGIC_SOCKET")
    magics = json.loads(os.environ.pop("DAYTONA_MAGICS"))

    # The user's code finds the same values as under `python -m ipykernel_launcher`.
    sys.path.pop(0)
    sys.argv = ["ipykernel_launcher.py", "-f", connection_file, *options]

    temporary.settle()
    postponed_debugger.use()
    app = IPKernelApp.instance(kernel_class=SandboxKernel)
    # A parent watches this process: no hints for a terminal, and no poller for pid 1.
    app.parent_handle = 1
    app.initialize(sys.argv[1:])
    # Set here and not in the configuration, which the user's code can read.
    app.session.session = message_session
    app.session.serialize = _serializing(app.session.serialize)
    # Private: the pause before an error's reply lets a front end abort cells; the relay needs none.
    app.kernel._execute_sleep = 0.0  # noqa: SLF001
    if app.shell is not None:
        environment = app.kernel.environment = GivenEnvironment()
        KernelMagics(app.shell, magic_socket, environment).register(magics)
        package_magics.adapt(app.shell)
    gc.enable()  # and no `freeze`, which would hide objects from a cell's `gc.get_objects()`
    app.start()


# Libraries look for this name in the configuration, and for the connection file under it.
class IPKernelApp(kernelapp.IPKernelApp):
    """ipykernel's application, whose output waits for a slow reader."""

    blocking_class = Type(klass=object)

    # The base class imports all of jupyter_client for this, before somebody uses it.
    @default("blocking_class")
    def _default_blocking_class(self) -> object:
        from jupyter_client.blocking import BlockingKernelClient

        return BlockingKernelClient

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Create the iopub socket."""
        super().init_iopub(context)
        # A full queue makes the sending thread wait. By default zmq drops the message.
        self.iopub_thread.socket.setsockopt(zmq.XPUB_NODROP, 1)
        # This makes the thread's own socket, which its first output needs. A cell may use up the descriptors.
        self.iopub_thread.schedule(lambda: self.iopub_thread.schedule(lambda: None))

    def init_kernel(self) -> None:
        """Create the kernel."""
        super().init_kernel()
        _repair_comm_routing()


class SandboxKernel(IPythonKernel):
    """ipykernel's kernel, with other interrupts, aborts and completion."""

    debugger_class = Type(default_value=PostponedDebugger, klass=object)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shell_handlers[RESUME_TYPE] = self.daytona_resume_request
        self.shell_handlers[ENVIRONMENT_TYPE] = self.daytona_environment_request
        self.environment: GivenEnvironment | None = None
        others = [handler for name, handler in self.shell_handlers.items() if name != "execute_request"]
        self._interrupts = Interrupts(self.shell, others)
        self._completion = TimelyCompletion(self.shell.Completer)
        if hasattr(self, "debugger"):
            # Hide the frames below every cell (asyncio, ipykernel) from the debugger's call stack.
            codes = [frame.f_code for frame, _ in traceback.walk_stack(None)]
            codes.append(self.shell.run_ast_nodes.__code__)
            self._kernel_modules += {code.co_filename for code in codes}

    def set_parent(self, ident: Any, parent: dict[str, Any], channel: str = "shell") -> None:
        """Note the request that is handled. Threads of cells go on printing for the front end's last one."""
        if parent["header"].get(OWN_KEY):
            Kernel.set_parent(self, ident, parent, channel)  # and not the streams', as IPythonKernel does
        else:
            super().set_parent(ident, parent, channel)

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Return the content of a `complete_reply`, in time."""
        postponed_debugger.import_debugger()  # before Jedi
        return self._completion.complete(code, cursor_pos, super().do_complete)

    # Private in ipykernel, which aborts only the cells that have arrived. More of them may be on their way.
    def _abort_queues(self, subshell_id: str | None = None) -> None:
        if threading.current_thread() is not self.control_thread:  # a cell there has no queue behind it
            self._set_aborting(subshell_id, aborting=True)

    async def daytona_resume_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Run cells again: the kernel knows that the cells from here on are not behind the failed one."""
        self._set_aborting(parent["header"].get("subshell_id"), aborting=False)
        self.session.send(stream, "daytona_resume_reply", {"status": "ok"}, parent, ident=ident)

    async def daytona_environment_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Have the environment variables that the kernel gives."""
        if self.environment is not None:
            self.environment.take(parent["content"]["variables"])
        self.session.send(stream, "daytona_environment_reply", {"status": "ok"}, parent, ident=ident)

    def _set_aborting(self, subshell_id: str | None, *, aborting: bool) -> None:
        if subshell_id is None:
            self._aborting = aborting
        else:
            self.shell_channel_thread.manager.set_subshell_aborting(subshell_id, aborting)

    def pre_handler_hook(self) -> None:
        """Handle interrupts from the start of a request."""
        # ipykernel's own post_handler_hook restores this attribute.
        self.saved_sigint_handler = self._interrupts.start_request()

    # Private in ipykernel, which has no other place to cancel a cell that awaits.
    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> AbstractContextManager[None]:
        return self._interrupts.cancelling(future)


def _serializing(serialize: Callable[..., list[bytes]]) -> Callable[..., list[bytes]]:
    """Return a serializer of messages that writes lone surrogates as escapes.

    ipykernel loses a message with one: such an error shows nothing, and such a print an error of ipykernel.
    """

    def serialize_any_text(msg: dict[str, Any], ident: list[bytes] | bytes | None = None) -> list[bytes]:
        try:
            return serialize(msg, ident)
        except UnicodeEncodeError:
            return serialize({**msg, "content": _with_escapes(msg["content"])}, ident)

    return serialize_any_text


def _with_escapes(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_with_escapes(key): _with_escapes(each) for key, each in value.items()}
        case list() | tuple():
            return [_with_escapes(each) for each in value]
    return value


def _repair_comm_routing() -> None:
    """Let each comm message go to the subshell that the front end named.

    ipykernel 7.4 sends it to the shell that last published on that comm. For a widget that a running cell
    made, that is the busy main shell, and a button does nothing until the cell ends. The private names
    exist in 7.4 only.
    """
    if ipykernel.version_info[:2] != (7, 4) or not hasattr(BaseComm, "_reply_subshell_for"):
        return

    def reply_subshell_for(self: BaseComm, data: object, default: str | None) -> str | None:
        from ipykernel.comm.comm import _request_id

        request_id = _request_id(data)
        with self._reply_subshell_lock:
            if request_id is not None and request_id in self._reply_subshell_ids:
                default = self._reply_subshell_ids.pop(request_id)
        return default

    BaseComm._reply_subshell_for = reply_subshell_for  # noqa: SLF001
