"""The way of a sandbox to the state in which cells can run; see client.states."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ...client.states import Course, state_of
from ...errors import DaytonaError, DaytonaTimeoutError
from ...formatting import format_duration
from ..news import GoodNews

if TYPE_CHECKING:
    from ...client.sandbox import AsyncSandbox
    from .progress import Progress

# A sandbox may stop or be archived when it is wanted again: seconds to wait for that, and between two looks.
_SETTLING_SECONDS = 120.0
_SETTLING_POLL = 0.5
# A front end waits little longer for the end of its kernel.
_LEAVING_SECONDS = 1.0
_ACTIVITIES = {Course.START: "Starting", Course.RESUME: "Resuming"}


async def settle(sandbox: AsyncSandbox, progress: Progress) -> Course:
    """Wait until the sandbox's state is one that it does not leave by itself; return what follows from it.

    Raises DaytonaTimeoutError if it stays in a passing state, and DaytonaError.
    """
    deadline = time.monotonic() + _SETTLING_SECONDS
    while (course := state_of(sandbox.state).course) is Course.WAIT:
        if time.monotonic() > deadline:
            raise DaytonaTimeoutError(
                f"The state of sandbox {sandbox.name} has been {sandbox.state!r} for "
                f"{format_duration(_SETTLING_SECONDS)}. Nothing was changed. Run the cell again later, or "
                "use %sandbox new."
            )
        progress.show(f"Waiting for sandbox {sandbox.name}: its state is {sandbox.state!r} …")
        await asyncio.sleep(_SETTLING_POLL)
        await sandbox.refresh_data()
    return course


async def make_ready(sandbox: AsyncSandbox, course: Course, progress: Progress, news: list[str]) -> None:
    """Start or resume a sandbox that has settled. Raises DaytonaError.

    news: takes a sentence if it was resumed.
    """
    if course is Course.USE:
        return
    if course not in _ACTIVITIES:
        raise unusable(sandbox)
    progress.show(f"{_ACTIVITIES[course]} sandbox {sandbox.name} …")
    await sandbox.start()
    if course is Course.RESUME:
        news.append(GoodNews(f"Sandbox {sandbox.name} was paused, and has been resumed."))


async def put_to_rest(sandbox: AsyncSandbox, at_shutdown: str) -> None:
    """Stop or pause a sandbox that stays, if it is to. Nobody waits here until it has.

    at_shutdown: the setting. Raises DaytonaError.
    """
    with suppress(DaytonaTimeoutError):
        if at_shutdown == "pause":
            try:
                await sandbox.pause(timeout=_LEAVING_SECONDS)
            except DaytonaTimeoutError:
                raise
            except DaytonaError:  # its class cannot; then the files at least
                await sandbox.stop(timeout=_LEAVING_SECONDS)
        elif at_shutdown == "stop":
            await sandbox.stop(timeout=_LEAVING_SECONDS)


def unusable(sandbox: AsyncSandbox) -> DaytonaError:
    """Return the error for a sandbox that cannot be started."""
    reason = f" ({sandbox.instance.error_reason})" if sandbox.instance.error_reason else ""
    return DaytonaError(
        f"Sandbox {sandbox.name} cannot be used: its state is {sandbox.state!r}{reason}. "
        "`%sandbox new` creates another one."
    )
