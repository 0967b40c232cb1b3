"""A real agent on this machine without a sandbox, and a wire to it that can be cut."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from daytona_kernel.interpreter.bundle import agent_archive
from daytona_kernel.interpreter.connection import Credentials
from daytona_kernel.wire.agent_configuration import AgentConfiguration
from daytona_kernel.wire.schema import encode_fields
from tests.tunnel import copy


class LocalAgent:
    """An agent as a child of the test; also a gateway to it (see connection.Gateway)."""

    sandbox_answers = False
    is_paused = False

    async def resume(self) -> None:
        raise AssertionError("this sandbox is never paused")

    def __init__(self) -> None:
        self.credentials = Credentials(secrets.token_hex(8), secrets.token_urlsafe(16))
        self.directory = tempfile.TemporaryDirectory(prefix="agent-test-")
        self.opened = 0
        self.wire: Wire | None = None

    async def start(self) -> LocalAgent:
        folder = Path(self.directory.name)
        (folder / "agent.pyz").write_bytes(agent_archive())
        (folder / "settings.json").write_text(
            json.dumps(
                encode_fields(
                    AgentConfiguration(self.credentials.secret, self.credentials.link, "the-session", {})
                )
            )
        )
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(folder / "agent.pyz"),
            str(folder / "settings.json"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder), "IPYTHONDIR": str(folder / "ipython")},
        )
        assert self.child.stdout is not None
        self.port = json.loads(await asyncio.wait_for(self.child.stdout.readline(), 20))["port"]
        return self

    async def open(self) -> ClientConnection:
        self.opened += 1
        port = self.port if self.wire is None else self.wire.port
        return await connect(f"ws://127.0.0.1:{port}/", max_size=None, compression=None)

    async def agent_ended(self) -> str | None:
        return None if self.child.returncode is None else f"The agent ended with {self.child.returncode}."

    async def stop(self) -> None:
        if self.child.returncode is None:
            self.child.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self.child.wait(), 10)
        if self.wire is not None:
            await self.wire.close()
        self.directory.cleanup()


class Wire:
    """A TCP relay in front of the agent that can be cut, and held."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self.carried = 0
        self.holding = False

    async def open(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.holding:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(
            copy(reader, far_writer, 4096, self._count), copy(far_reader, writer, 4096, self._count)
        )

    def _count(self, data: bytes) -> None:
        self.carried += len(data)

    def cut(self) -> None:
        """Break every connection without a closing handshake."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self.cut()
        self._server.close()
