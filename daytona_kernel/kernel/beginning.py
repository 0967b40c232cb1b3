"""What a kernel begins before it is there: its sandbox and its interpreter.

Making them is mostly waiting, and importing ipykernel is mostly computing; together they take as
long as the longer of the two. So this module imports the client and nothing of ipykernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..interpreter.bundle import agent_archive
from ..interpreter.launcher import LaunchedAgent
from .api_thread import ApiThread
from .home import Home
from .record import RecordFile

if TYPE_CHECKING:
    from ..magics.registry import Registry


@dataclass
class Beginning:
    """The parts that a kernel is given. agent: the interpreter's agent, when it is there."""

    api: ApiThread
    registry: Registry
    home: Home
    agent: Future[LaunchedAgent]


def begin(connection_file: str) -> Beginning:
    """Begin a sandbox and an interpreter for the kernel of a connection file."""
    api = ApiThread()
    magics: Future[Mapping[str, str]] = Future()
    home = Home(RecordFile(connection_file), magics)
    agent = api.start(home.agent())

    # What the launch needs is made ready while the sandbox is being made.
    agent_archive()
    from ..magics.declarations import declared

    registry = declared()
    magics.set_result(registry.helps)
    return Beginning(api, registry, home, agent)
