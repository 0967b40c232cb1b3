"""`daytona-kernel resume`: start the sandbox that was kept for a notebook, for its next kernel."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .client.daytona import AsyncDaytona
from .client.labels import LABEL
from .client.states import Course
from .config import resolve
from .errors import DaytonaError, DaytonaNotFoundError
from .kernel.host.handover import Handover
from .kernel.host.kept_sandbox import KeptFile
from .kernel.host.progress import Progress
from .kernel.host.readiness import make_ready, settle

if TYPE_CHECKING:
    from .client.sandbox import AsyncSandbox

_EMBEDDED = (
    "No DAYTONA_API_KEY is set. Sandboxes of a kernel's embedded server end with the kernel, so none is kept."
)
_DID = {
    Course.USE: "runs",
    Course.START: "was stopped, and runs again with its files",
    Course.RESUME: "was paused, and runs again with its files and processes",
}


def run(notebook: str, sandbox: str | None) -> str:
    """Start the sandbox of a notebook, and return a sentence about it. Raises DaytonaError.

    sandbox: the id or name of the one that is kept from now on; None for the one that is kept.
    """
    settings = resolve()
    if settings.embedded or settings.api_url.value is None:
        raise DaytonaError(_EMBEDDED)
    file = KeptFile(str(Path(notebook).resolve()), settings.api_url.value)
    if not file.hold():
        raise DaytonaError(f"A kernel of {notebook} runs, and uses the sandbox that was kept for it.")
    with closing(file):
        return asyncio.run(_resume(file, notebook, sandbox))


async def _resume(file: KeptFile, notebook: str, wanted: str | None) -> str:
    kept = file.read()
    named = wanted or kept.sandbox_id
    if named is None:
        raise DaytonaError(
            f"No sandbox is kept for {notebook} on this machine. `daytona-kernel sandboxes` lists all; "
            f"`daytona-kernel resume {notebook} --sandbox ID` gives one to the notebook."
        )
    async with AsyncDaytona() as daytona:
        try:
            sandbox = await daytona.get(named)
        except DaytonaNotFoundError as error:
            if error.by_daytona:
                raise DaytonaNotFoundError(f"There is no sandbox {named} any more.") from None
            raise
        if wanted is not None:
            _require_kernels(sandbox)
        progress = Progress()
        progress.watch(lambda text: print(text, file=sys.stderr))
        course = await settle(sandbox, progress)
        await make_ready(sandbox, course, progress, [])
        if wanted is not None and kept.sandbox_id != sandbox.id:
            file.write(Handover(sandbox_id=sandbox.id, options={"at_shutdown": "keep"}))
    return f"Sandbox {sandbox.name} {_DID[course]}. The next kernel of {Path(notebook).name} goes on there."


def _require_kernels(sandbox: AsyncSandbox) -> None:
    if LABEL not in sandbox.labels:
        raise DaytonaError(
            f"No kernel created sandbox {sandbox.name}, so it is not given to a notebook. `%sandbox attach "
            f"{sandbox.id}` in the notebook uses it."
        )
