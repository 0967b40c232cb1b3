"""The ipykernel of the sandbox: IPython's own kernel application with what the agent needs of it.

It dies with the agent also when C code holds the interpreter lock, which ipykernel's own parent
poller, a Python thread, cannot do. It never drops output for a slow reader. Widgets' messages
reach the subshell that the front end chose. Completion answers in time, and an interrupt stops the
cell and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

import ipykernel
import zmq
from ipykernel import kernelapp
from ipykernel.comm.comm import BaseComm
from ipykernel.ipkernel import IPythonKernel

from .completion import TimelyCompletion
from .interrupts import Interrupts
from .magics import KernelMagics

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractContextManager

_PR_SET_PDEATHSIG = 1


def main(connection_file: str, agent_pid: int) -> None:
    """Run until the agent ends it. agent_pid: the parent, whose death is ours too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent_pid:
        sys.exit("the agent was gone before its interpreter had started")
    message_session = os.environ.pop("DAYTONA_MESSAGE_SESSION")
    magic_socket = os.environ.pop("DAYTONA_MAGIC_SOCKET")
    magics = json.loads(os.environ.pop("DAYTONA_MAGICS"))

    # What the user's code finds is what `python -m ipykernel_launcher` would show it.
    sys.path.pop(0)
    sys.argv = ["ipykernel_launcher.py", "-f", connection_file]

    app = IPKernelApp.instance(kernel_class=SandboxKernel)
    # "Somebody looks after this process": no notes for a terminal, and no poller for pid 1.
    app.parent_handle = 1
    app.initialize(sys.argv[1:])
    # Set, and not configured: the user's code reads the configuration.
    app.session.session = message_session
    # The base class of the outer kernel pays this sleep, or nobody.
    app.kernel._execute_sleep = 0.0
    if app.shell is not None:
        KernelMagics(app.shell, magic_socket).register(magics)
    app.start()


# Libraries look for this name in the configuration, and for the connection file under it.
class IPKernelApp(kernelapp.IPKernelApp):
    def init_iopub(self, context: zmq.Context[Any]) -> None:
        super().init_iopub(context)
        # A full queue makes the sending thread wait; the default is to lose the message.
        self.iopub_thread.socket.setsockopt(zmq.XPUB_NODROP, 1)

    def init_kernel(self) -> None:
        super().init_kernel()
        _repair_comm_routing()


class SandboxKernel(IPythonKernel):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        others = [handler for name, handler in self.shell_handlers.items() if name != "execute_request"]
        self._interrupts = Interrupts(self.shell, others)
        self._completion = TimelyCompletion(self.shell.Completer)
        if hasattr(self, "debugger"):
            # What is under every cell belongs in no call stack of the user's.
            codes = [frame.f_code for frame, _ in traceback.walk_stack(None)]
            codes.append(self.shell.run_ast_nodes.__code__)
            self.debugger.kernel_modules += {code.co_filename for code in codes}

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        complete = super().do_complete
        return self._completion.complete(lambda: complete(code, cursor_pos))

    def pre_handler_hook(self) -> None:
        self.saved_sigint_handler = self._interrupts.begin_request()

    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> AbstractContextManager[None]:
        return self._interrupts.cancelling(future)


def _repair_comm_routing() -> None:
    """Let a comm message go to the subshell that the front end named.

    ipykernel 7.4 sends it to the shell that last published on that comm, which for a widget made
    by a running cell is the busy main shell: a button then does nothing until the cell ends.
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

    BaseComm._reply_subshell_for = reply_subshell_for
