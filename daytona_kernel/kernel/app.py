"""The kernel's application: ipykernel's, without the parts for a kernel that runs the user's code itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from traitlets import Instance

from .kernel import DaytonaKernel
from .out.iopub import IOPub
from .startup import Startup


class DaytonaKernelApp(IPKernelApp):
    """Starts a DaytonaKernel on the sockets of a connection file.

    startup: the parts that the kernel uses, which are started before it.
    """

    name = "daytona-kernel"
    startup = Instance(Startup)

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Bind the iopub socket, and put it on the relay's loop."""
        socket = context.socket(zmq.XPUB)
        socket.linger = 1000
        self._apply_curve_server_options(socket)
        self.iopub_port: int = self._bind_socket(socket, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = self.iopub_socket = IOPub(socket, self.shell_channel_thread, self.session)

    def init_path(self) -> None:
        """Leave the import path alone. IPython adds the notebook's folder, for cells; none runs here."""

    def init_io(self) -> None:
        """Leave stdout and stderr alone: this process prints for Jupyter's log, not for a cell."""
        self.displayhook = SimpleNamespace()

    def init_pdb(self) -> None:
        """Leave pdb alone: the user's code is not debugged in this process."""


def main(startup: Startup, words: list[str]) -> None:
    """Run the kernel, as `python -m daytona_kernel` with these words: `-f CONNECTION_FILE` and others."""
    DaytonaKernelApp.launch_instance(words, kernel_class=DaytonaKernel, startup=startup)
