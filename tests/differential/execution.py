"""The execution of a notebook by both kernels at once, with everything that a front end sees."""

from __future__ import annotations

import ast
import asyncio
import copy
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient

from .normalization import Normalizer, merged_messages, merged_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from nbformat import NotebookNode

    from .notebook import Source

KERNELS = ("python3", "daytona")
_CELL_SECONDS = 60


@dataclass
class CellRecord:
    """The results of a cell: its outputs as they are saved, and its messages."""

    source: str
    outputs: Any = None
    execution_count: int | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: Any = None


@dataclass
class Record:
    """An executed notebook in its normalized form."""

    cells: list[CellRecord]
    metadata: Any


class _RecordingClient(NotebookClient):
    """An nbclient that also records the messages."""

    def __init__(self, notebook: NotebookNode, **options: Any) -> None:
        super().__init__(
            notebook,
            allow_errors=True,
            timeout=_CELL_SECONDS,
            iopub_timeout=_CELL_SECONDS,
            on_cell_executed=self._keep_reply,
            **options,
        )
        self.messages: dict[int, list[dict[str, Any]]] = {}
        self.replies: dict[int, dict[str, Any]] = {}

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        # nbclient changes the message.
        self.messages.setdefault(cell_index, []).append({**msg, "content": copy.deepcopy(msg["content"])})
        try:
            return super().process_message(msg, cell, cell_index)
        finally:
            # nbclient's Output widget sends without asyncio. That may consume the event that announces a
            # reply, and the cell would wait for its timeout, with any kernel. Reading the events repairs it.
            assert self.kc is not None
            self.kc.shell_channel.socket.get(zmq.EVENTS)

    def _keep_reply(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.replies[cell_index] = execute_reply["content"]


def plain_environment() -> dict[str, str]:
    """Return this environment without variables that change ipykernel, and with a sandbox's shell."""
    # If PYTEST_CURRENT_TEST is set, ipykernel does not capture the file descriptors 1 and 2.
    unwanted = ("IPYTHONDIR", "PYTHONDONTWRITEBYTECODE", "PYTEST_CURRENT_TEST")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"SHELL": "/bin/bash"}


class RunningKernel:
    """A kernel for several notebooks, and its client."""

    def __init__(self, name: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self._settings = settings
        self._home = directory / "home"
        self._work = directory / "work"
        self._manager = AsyncKernelManager(kernel_name=name)
        self._client: AsyncKernelClient | None = None

    async def start(self) -> None:
        """Start the kernel with an empty home directory."""
        self._home.mkdir(parents=True)
        self._work.mkdir()
        self._work.chmod(0o777)  # for the user of root's sandboxes
        environment = (
            plain_environment() | dict(self._settings) | {"HOME": str(self._home), "ONLY_AT_HOME": "yes"}
        )
        await self._manager.start_kernel(env=environment, cwd=str(self._work))
        self._client = self._manager.client()
        self._client.start_channels()
        await self._client.wait_for_ready(timeout=_CELL_SECONDS)
        self._client.allow_stdin = False
        self._places = {
            await self._ask("__import__('os').getcwd()"): "<cwd>",
            await self._ask("__import__('os').environ['HOME']"): "<home>",
            await self._ask("__import__('tempfile').gettempdir()"): "/tmp",  # TMPDIR, or a sandbox's own
        }

    async def _ask(self, expression: str) -> str:
        """Return the value of a string expression, without a change of the interpreter's state."""
        assert self._client is not None
        reply = await self._client.execute("", silent=True, user_expressions={"it": expression}, reply=True)
        return str(ast.literal_eval(reply["content"]["user_expressions"]["it"]["data"]["text/plain"]))

    async def execute(self, source: Source) -> Record:
        client = _RecordingClient(source.notebook(self.name), km=self._manager)
        client.kc = self._client
        notebook = await client.async_execute()
        normal = Normalizer(self._places)
        cells = [
            CellRecord(
                cell.source,
                messages=[normal.value(m) for m in merged_messages(client.messages.get(index, []))],
                outputs=normal.value(merged_outputs(cell.outputs)),
                execution_count=cell.execution_count,
                reply=normal.value(client.replies.get(index)),
            )
            for index, cell in enumerate(notebook.cells)
        ]
        metadata = {**notebook.metadata, "kernelspec": None}
        return Record(cells, normal.value(metadata))

    async def close(self) -> None:
        if self._client is not None:
            self._client.stop_channels()
        if self._manager.has_kernel:
            await self._manager.shutdown_kernel()
        await ensure_async(self._manager.cleanup_resources())


class Pair:
    """ipykernel and this kernel."""

    def __init__(self, runner: asyncio.Runner, directory: Path, settings: Mapping[str, str]) -> None:
        self._runner = runner
        self._kernels = []
        for name in KERNELS:
            self._kernels.append(RunningKernel(name, directory / name, settings))

    def start(self) -> None:
        self._runner.run(_together(*(kernel.start() for kernel in self._kernels)))

    def execute(self, source: Source) -> tuple[Record, Record]:
        ours, theirs = self._runner.run(_together(*(kernel.execute(source) for kernel in self._kernels)))
        return ours, theirs

    def close(self) -> None:
        self._runner.run(_together(*(kernel.close() for kernel in self._kernels)))


@contextmanager
def running_pair(directory: Path, **settings: str) -> Iterator[Pair]:
    """Run both kernels, each with an empty home directory. settings: environment variables of theirs."""
    with asyncio.Runner() as runner:
        pair = Pair(runner, directory, settings)
        try:
            pair.start()
            yield pair
        finally:
            pair.close()


async def _together(*calls: Any) -> list[Any]:
    return list(await asyncio.gather(*calls))
