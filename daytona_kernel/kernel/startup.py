"""The first step of a kernel: the start of its sandbox and its interpreter.

Starting them is mostly waiting, and importing ipykernel is mostly computing. Together they take only as
long as the longer of the two. So this module imports the client, and nothing of ipykernel.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..interpreter.bundle import agent_archive
from .host.api_thread import ApiThread
from .host.handover import HandoverFile
from .host.kernel_sandbox import KernelSandbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..interpreter.gateway import LaunchedAgent
    from ..magics.registry import Registry


@dataclass
class Startup:
    """The parts of a kernel that are started before it.

    agent: the future of the interpreter's agent in the sandbox.
    """

    api: ApiThread
    registry: Registry
    kernel_sandbox: KernelSandbox
    agent: Future[LaunchedAgent]


def start(connection_file: str, options: Sequence[str] = ()) -> Startup:
    """Start a sandbox and an interpreter for the kernel of a connection file, and do not wait for them.

    options: words for the interpreter's command line.
    """
    api = ApiThread()
    magics: Future[Mapping[str, str]] = Future()
    kernel_sandbox = KernelSandbox(HandoverFile(connection_file), magics, options)
    agent = api.start(kernel_sandbox.agent(may_resume=True))

    # Prepare the archive and the magics for the launch while the sandbox is being created.
    agent_archive()
    from ..magics.declarations import declare_all

    registry = declare_all()
    magics.set_result(registry.helps)
    return Startup(api, registry, kernel_sandbox, agent)
