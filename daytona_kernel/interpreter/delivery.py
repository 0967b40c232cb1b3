"""The delivery of wheels to a sandbox that has no package index in reach."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from ..client.models.files import FileUpload
from .wheels import wheels_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client.filesystem import AsyncFileSystem
    from .wheels import Target

_LOADING = "The sandbox has no package index in reach. Loading ipykernel for it on this machine …"
_SENDING = "Sending ipykernel and {others} other packages to the sandbox: {sent:.1f} of {size:.1f} MB …"
_MB = 1_000_000


async def deliver(files: AsyncFileSystem, target: Target, on_progress: Callable[[str], None]) -> str:
    """Put the wheels for a target into a new directory of the sandbox, and return that.

    on_progress: called on this loop, with a line of text.

    Raises InterpreterStartError if this machine cannot load the wheels, and DaytonaError.
    """
    on_progress(_LOADING)
    wheels = await asyncio.to_thread(wheels_for, target)
    size = sum(wheel.stat().st_size for wheel in wheels) / _MB
    loop = asyncio.get_running_loop()

    def show(sent: int) -> None:
        text = _SENDING.format(others=len(wheels) - 1, sent=min(sent / _MB, size), size=size)
        loop.call_soon_threadsafe(on_progress, text)

    show(0)
    directory = f"/tmp/daytona-kernel-wheels-{secrets.token_hex(8)}"  # noqa: S108  # in the sandbox
    sources = [FileUpload(str(wheel), f"{directory}/{wheel.name}") for wheel in wheels]
    await files.upload_files(sources, on_progress=show)
    on_progress(f"Installing ipykernel from {len(wheels)} packages that this machine has sent …")
    return directory
