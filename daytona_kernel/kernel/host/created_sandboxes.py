"""The sandboxes that the kernel has created and does not use: they are deleted."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import uuid
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...client.labels import HOST_LABEL, KERNEL_LABEL, LABEL, NOTEBOOK_LABEL
from ...client.models.sandboxes import ListSandboxesQuery
from ...errors import DaytonaError, DaytonaNotFoundError, DaytonaTimeoutError
from ...formatting import format_duration
from ...settings.notebook import FILE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from ...client.daytona import AsyncDaytona
    from ...client.models.sandboxes import CreateSandboxParams
    from ...client.sandbox import AsyncSandbox

# Minutes without activity until a sandbox of a killed kernel stops, and then until it is deleted.
AUTO_STOP_MINUTES = 30
AUTO_DELETE_MINUTES = 24 * 60

# How long a new sandbox may take to start, and one whose image is built first.
_START_SECONDS = 120.0
_BUILD_SECONDS = 1800.0
# Without the notebook's folder on the import path.
_COMMAND = (sys.executable, "-P", "-m", "daytona_kernel.cli", "sandboxes")


class CreatedSandboxes:
    """The created sandboxes where no cell runs. They belong to the API thread's loop."""

    def __init__(self) -> None:
        self._unused: set[AsyncSandbox] = set()
        self._creations: set[asyncio.Task[AsyncSandbox]] = set()
        self._cleanups: set[asyncio.Task[None]] = set()
        # The answer to a creation may be lost, and the sandbox is there. Its label finds it.
        self._label = uuid.uuid4().hex
        self._returned: set[str] = set()
        self._lost_at: AsyncDaytona | None = None

    async def create(self, daytona: AsyncDaytona, params: CreateSandboxParams) -> AsyncSandbox:
        """Create a sandbox with this kernel's labels, which stops and is deleted if it is forgotten.

        If the caller is canceled meanwhile, or never calls `use`, the sandbox is deleted.
        """
        labels = {
            LABEL: "python",
            HOST_LABEL: socket.gethostname()[:63],
            NOTEBOOK_LABEL: Path(os.environ.get(FILE_VARIABLE, "")).name[:63],
            KERNEL_LABEL: self._label,
        }
        labeled = replace(
            params,
            language=params.language or "python",
            labels=labels,
            auto_stop_interval=_first(
                params.auto_stop_interval, 0 if params.auto_pause_interval else AUTO_STOP_MINUTES
            ),
            auto_delete_interval=_first(params.auto_delete_interval, AUTO_DELETE_MINUTES),
        )
        creation = asyncio.create_task(self._create(daytona, labeled))
        self._creations.add(creation)
        creation.add_done_callback(self._creations.discard)
        try:
            sandbox = await asyncio.shield(creation)
        except asyncio.CancelledError:
            self._clean_up(self._undo(creation))
            raise
        self._unused.add(sandbox)
        if self._lost_at is not None:
            self._clean_up(self._delete_lost())
        return sandbox

    async def _create(self, daytona: AsyncDaytona, params: CreateSandboxParams) -> AsyncSandbox:
        """Create a sandbox. If it does not start in time, it is deleted."""
        seconds = _START_SECONDS if params.image is None else _BUILD_SECONDS
        try:
            sandbox = await daytona.create(params, timeout=seconds)
        except asyncio.CancelledError:
            self._lost_at = daytona
            raise
        except DaytonaError as error:
            if error.sandbox_id is None and _is_refusal(error):
                raise
            self._lost_at = daytona
            if error.sandbox_id is None or not isinstance(error, DaytonaTimeoutError):
                raise
            with suppress(DaytonaError):  # `delete_unused` tries again
                await self._delete_lost()
            raise DaytonaTimeoutError(
                f"The new sandbox did not start within {format_duration(seconds)}, so it is deleted. "
                "Run the cell again to create another one."
            ) from None
        self._returned.add(sandbox.id)
        return sandbox

    def use(self, sandbox: AsyncSandbox) -> None:
        """Keep a sandbox, because cells run there from now on."""
        self._unused.discard(sandbox)

    def add_unused(self, sandbox: AsyncSandbox) -> None:
        """Take a sandbox where no cell runs any more."""
        self._unused.add(sandbox)

    def forget_all(self) -> None:
        """Forget all sandboxes, because the server that had them has ended."""
        self._unused.clear()
        self._lost_at = None

    async def delete(self, sandbox: AsyncSandbox) -> None:
        """Delete a sandbox, and with it all unused ones. Raises DaytonaError; some may remain then."""
        self.add_unused(sandbox)
        await self.delete_unused()

    async def delete_unused(self) -> None:
        """Delete all unused sandboxes. Raises DaytonaError; some may remain then."""
        await asyncio.gather(*self._cleanups)
        await self._delete_lost()
        for sandbox in list(self._unused):
            await self._delete(sandbox)

    def delete_later(self) -> None:
        """Let another process delete all unused sandboxes, because this one ends. Returns at once."""
        if self._unused:
            change_later("delete", [sandbox.id for sandbox in self._unused])
        self.delete_lost_later()

    def delete_lost_later(self) -> None:
        """Let another process delete the sandboxes of failed and of open creations. Returns at once."""
        if self._lost_at is not None or self._creations:
            change_later("delete-lost", [self._label, *self._returned])

    def _clean_up(self, work: Coroutine[Any, Any, None]) -> None:
        """Delete something in the background. What fails, `delete_unused` tries again."""

        async def attempt() -> None:
            with suppress(DaytonaError):
                await work

        cleanup = asyncio.create_task(attempt())
        self._cleanups.add(cleanup)
        cleanup.add_done_callback(self._cleanups.discard)

    async def _undo(self, creation: asyncio.Task[AsyncSandbox]) -> None:
        """Delete a sandbox that is being created for a canceled caller."""
        sandbox = await creation
        self._unused.add(sandbox)
        await self._delete(sandbox)

    async def _delete_lost(self) -> None:
        """Delete the sandboxes of failed creations. One may still appear later, so each call looks again."""
        if self._lost_at is not None:
            query = ListSandboxesQuery(labels={KERNEL_LABEL: self._label})
            async for sandbox in self._lost_at.list(query):
                if sandbox.id not in self._returned:
                    await self._delete(sandbox)

    async def _delete(self, sandbox: AsyncSandbox) -> None:
        with suppress(DaytonaNotFoundError):
            await sandbox.delete()
        self._unused.discard(sandbox)


def _is_refusal(error: DaytonaError) -> bool:
    """Return whether a server has answered that it does not carry out the request."""
    status = error.status_code
    return status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _first(given: int | None, default: int) -> int:
    return default if given is None else given


def change_later(change: str, ids: Sequence[str]) -> None:
    """Let another process change sandboxes, because this one ends. Returns at once.

    change: an option of `daytona-kernel sandboxes`, and ids: what follows it.
    """
    process = subprocess.Popen(
        [*_COMMAND, f"--{change}", *ids],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.returncode = 0  # nobody waits for it, and Python would warn of that
