"""The kernel's application: ipykernel's, less what belongs to a kernel that runs the user's code itself."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import zmq
from ipykernel.kernelapp import IPKernelApp

from .kernel import DaytonaKernel
from .out.iopub import IOPub

if TYPE_CHECKING:
    from .startup import Startup


class DaytonaKernelApp(IPKernelApp):
    """Starts a DaytonaKernel on the sockets of a connection file."""

    name = "daytona-kernel"

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Bind iopub, and put it where the relay is."""
        socket = context.socket(zmq.XPUB)
        socket.linger = 1000
        self._apply_curve_server_options(socket)
        self.iopub_port: int = self._bind_socket(socket, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = self.iopub_socket = IOPub(socket, self.shell_channel_thread, self.session)

    def init_io(self) -> None:
        """Leave stdout and stderr alone: what this process prints is for Jupyter's log, not for a cell."""
        self.displayhook = SimpleNamespace()

    def init_pdb(self) -> None:
        """No code of the user's is debugged here."""


def main(startup: Startup) -> None:
    """Run the kernel, as `python -m daytona_kernel -f CONNECTION_FILE`."""
    DaytonaKernel.api = startup.api
    DaytonaKernel.registry = startup.registry
    DaytonaKernel.kernel_sandbox = startup.kernel_sandbox
    DaytonaKernel.first_agent = startup.agent
    DaytonaKernelApp.launch_instance(sys.argv[1:], kernel_class=DaytonaKernel)
