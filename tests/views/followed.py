"""A followed command without a sandbox: a child's output in a `LogDisplay`, under plain ipykernel.

The child runs on this machine, and a file keeps its output as a toolbox does.
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
    """A shell command whose log is shown. `task` ends with the log.

    `failure` is an error for the next requests to stop the command or to send input.
    """

    def __init__(self, command: str, session: str = "s1") -> None:
        self.command = command
        self.failure: Exception | None = None
        # The file has no name, so it disappears with the kernel, however the kernel ends.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self.display = LogDisplay(
            self._chunks(),
            command=command,
            session=session,
            publish=self._publish,
            stop=self.stop,
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
        # ipykernel keeps the parent in the context, and the parent is the cell that runs now.
        Context().run(
            publish_display_data,
            bundle,
            metadata,
            transient={"display_id": self._display_id},
            update=update,
        )

    async def stop(self) -> None:
        """End the command."""
        self._fail()
        assert self.child is not None
        os.killpg(self.child.pid, signal.SIGTERM)

    async def _send_input(self, text: str) -> None:
        self._fail()
        assert self.child is not None
        assert self.child.stdin is not None
        self.child.stdin.write(text.encode())
        await self.child.stdin.drain()

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def _download(self) -> AsyncIterator[bytes]:
        offset = 0
        while data := os.pread(self._log.fileno(), _PIECE, offset):
            offset += len(data)
            yield data

    async def _exit_code(self) -> int | None:
        assert self.child is not None
        return await self.child.wait()
