"""`%upload` of one file takes three requests at most: over a network, each costs a round trip."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import AsyncDaytona, DaytonaConfig
from daytona_kernel.client.transport import AsyncTransport
from daytona_kernel.magics.files import FileMagics

from .recorded_call import RecordedCall

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from daytona_kernel.client.exchange import Response
    from daytona_kernel.client.sandbox import AsyncSandbox


class UploadingCall(RecordedCall):
    """A call with a sandbox, whose interpreter is in the folder `cwd`."""

    def __init__(self, sandbox: AsyncSandbox, cwd: str) -> None:
        super().__init__()
        self.cwd = cwd
        self.python = "/usr/bin/python3"
        self._sandbox = sandbox

    async def sandbox(self) -> AsyncSandbox:
        return self._sandbox


@pytest.mark.anyio
@pytest.mark.parametrize("remote", [None, "new.txt", "folder/", "{cwd}/there.txt"])
@pytest.mark.parametrize("size", [5, 3 << 20])
async def test_one_file_takes_three_requests(
    profiled: DaytonaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str | None, size: int
) -> None:
    requests: list[str] = []
    send = AsyncTransport.send

    async def counted(self: AsyncTransport, request: httpx.Request) -> Response:
        requests.append(f"{request.method} {request.url.path}")
        return await send(self, request)

    file = tmp_path / "file.txt"
    await asyncio.to_thread(file.write_bytes, b"x" * size)
    async with AsyncDaytona(profiled) as daytona:
        sandbox = await daytona.create()
        cwd = await sandbox.get_work_dir()
        monkeypatch.setattr(AsyncTransport, "send", counted)
        call = UploadingCall(sandbox, cwd)
        target = None if remote is None else remote.format(cwd=cwd)
        await FileMagics().upload(call.call, [str(file)], target, False)
        monkeypatch.undo()
        assert call.printed["stdout"].startswith("Uploaded 1 file")
        assert len(requests) <= 3, requests
        await sandbox.delete()
