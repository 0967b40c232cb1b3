"""What a kernel begins before it is there: its sandbox and its interpreter.

Making them is mostly waiting, and importing ipykernel is mostly computing; together they take as
long as the longer of the two. So this module imports the client and nothing of ipykernel.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from ..interpreter.launcher import LaunchedAgent
from ..magics.declarations import declared
from ..magics.registry import Registry
from .api_thread import ApiThread
from .home import Home
from .record import RecordFile


@dataclass
class Beginning:
    """The parts that a kernel is given. agent: the interpreter's agent, when it is there."""

    api: ApiThread
    registry: Registry
    home: Home
    agent: Future[LaunchedAgent]


def begin(connection_file: str) -> Beginning:
    """Begin a sandbox and an interpreter for the kernel of a connection file."""
    registry = declared()
    api = ApiThread()
    home = Home(RecordFile(connection_file), registry.helps)
    return Beginning(api, registry, home, api.start(home.agent()))
