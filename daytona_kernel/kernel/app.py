"""The kernel's application: ipykernel's, less what belongs to a kernel that runs the user's code itself."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from ipykernel.kernelapp import IPKernelApp

from .kernel import DaytonaKernel


class DaytonaKernelApp(IPKernelApp):
    """Starts a DaytonaKernel on the sockets of a connection file."""

    name = "daytona-kernel"

    def init_io(self) -> None:
        """Leave stdout and stderr alone: what this process prints is for Jupyter's log, not for a cell."""
        self.displayhook = SimpleNamespace()

    def init_pdb(self) -> None:
        """No code of the user's is debugged here."""


def main() -> None:
    """Run the kernel, as `python -m daytona_kernel -f CONNECTION_FILE`."""
    DaytonaKernelApp.launch_instance(sys.argv[1:], kernel_class=DaytonaKernel)
