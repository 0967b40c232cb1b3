"""A followed command for notebooks of tests: a child's real output, shown by a real `LogDisplay`.

It stands in for the sandbox only: the child runs here, its output is kept in a file as a toolbox
keeps it, and what `ipykernel` offers publishes the bundles.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextvars import Context
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from IPython.display import publish_display_data

from daytona_kernel.views.log_display import LogDisplay
from daytona_kernel.wire.logs import LogChunk, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE = 64 << 10


class FollowedCommand:
    """A shell command whose log is shown; `await` its `task` for the end."""

    def __init__(self, command: str, session: str = "s1") -> None:
        self.command = command
        # Without a name, so that it is gone with the kernel, however that ends.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self.display = LogDisplay(
            self._chunks(),
            command=command,
            session=session,
            publish=self._publish,
            stop=self._stop,
            send_input=self._send_input,
            download=self._download,
            exit_code=self._exit_code,
        )
        self._display_id = uuid4().hex
        self.child: asyncio.subprocess.Process | None = None
        self.display.show()
        self.task = asyncio.get_running_loop().create_task(self.display.run())

    async def _chunks(self) -> AsyncIterator[LogChunk]:
        pipe = asyncio.subprocess.PIPE
        self.child = await asyncio.create_subprocess_shell(
            self.command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, executable="/bin/bash"
        )
        arrived: asyncio.Queue[LogChunk | None] = asyncio.Queue(maxsize=4)

        async def pump(stream: Stream, reader: Any) -> None:
            while data := await reader.read(_PIECE):
                await arrived.put(LogChunk(stream, data))
            await arrived.put(None)

        pumps = [
            asyncio.create_task(pump(Stream.STDOUT, self.child.stdout)),
            asyncio.create_task(pump(Stream.STDERR, self.child.stderr)),
        ]
        try:
            ended = 0
            while ended < 2:
                chunk = await arrived.get()
                if chunk is None:
                    ended += 1
                    continue
                self._log.write(chunk.data)
                yield chunk
        finally:
            for task in pumps:
                task.cancel()

    def _publish(self, bundle: dict[str, Any], metadata: dict[str, Any], update: bool) -> None:
        # Outside of the context of the cell that began the command: under the one that runs now.
        Context().run(
            publish_display_data,
            bundle,
            metadata,
            transient={"display_id": self._display_id},
            update=update,
        )

    async def _stop(self) -> None:
        assert self.child is not None
        os.killpg(self.child.pid, signal.SIGTERM)

    async def _send_input(self, text: str) -> None:
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.write(text.encode())
        await self.child.stdin.drain()

    async def _download(self) -> AsyncIterator[bytes]:
        offset = 0
        while data := os.pread(self._log.fileno(), _PIECE, offset):
            offset += len(data)
            yield data

    async def _exit_code(self) -> int | None:
        assert self.child is not None
        return await self.child.wait()
