"""The sandbox that a kernel finds at its start: of the kernel before it, or one that the person names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...client.states import Course
from ...config import resolve
from ...errors import DaytonaError, DaytonaNotFoundError
from ...settings.resolution import find
from ..news import GoodNews
from .readiness import make_ready, settle

if TYPE_CHECKING:
    from ...client.daytona import AsyncDaytona
    from ...client.sandbox import AsyncSandbox
    from .handover import Handover
    from .kept_sandbox import KeptSandbox
    from .progress import Progress

_TAKEN = (
    "Another kernel of this notebook uses the sandbox that was kept for it, so this one has a new sandbox."
)


class EarlierSandbox:
    """The search for the sandbox.

    handover: what the kernel before has left, or has kept for the notebook.
    news: takes sentences for the next cell.
    """

    def __init__(self, handover: Handover, kept: KeptSandbox, progress: Progress, news: list[str]) -> None:
        self._kept = kept
        self._progress = progress
        self._news = news
        found = self._find_kept() if handover.sandbox_id is None else None
        self._was_kept = found is not None
        self.handover = handover if found is None else found

    async def find(self, daytona: AsyncDaytona) -> AsyncSandbox | None:
        """Return the sandbox of the previous kernel or of DAYTONA_SANDBOX_ID; None if there is none."""
        if self._kept.is_taken:
            self._news.append(_TAKEN)
            self._kept.is_taken = False
        found = find("sandbox_id")
        given = found and str(found.value)
        # The handover comes first: the previous kernel may have moved.
        sandbox_id = self.handover.sandbox_id or given
        if not sandbox_id:
            return None
        try:
            sandbox = await daytona.get(sandbox_id)
        except DaytonaNotFoundError as error:
            if not error.by_daytona:
                raise
            if found is not None and sandbox_id == given:
                raise DaytonaNotFoundError(
                    f"There is no sandbox {given!r} ({found.source}). "
                    "Correct or unset that setting where Jupyter runs, and restart Jupyter."
                ) from None
            self._miss(sandbox_id)
            return None
        attached = sandbox_id == given or not self.handover.owned
        course = await settle(sandbox, self._progress)
        if course is Course.FORGET and not attached:
            self._miss(sandbox.name)
            return None
        if course is Course.GIVE_UP and not attached and not self._was_kept:
            return None
        resumptions: list[str] = []
        await make_ready(sandbox, course, self._progress, resumptions)
        if self._was_kept:
            self._news.append(GoodNews(f"Sandbox {sandbox.name} was kept for this notebook, with its files."))
        self._news += resumptions
        self._was_kept = False
        self.handover.owned = not attached
        return sandbox

    def _find_kept(self) -> Handover | None:
        """Return what an earlier kernel of the notebook has kept; None if the person names a sandbox."""

        def api_url() -> str | None:
            settings = resolve()
            return None if settings.embedded else settings.api_url.value

        try:
            return None if find("sandbox_id") is not None else self._kept.find(api_url)
        except DaytonaError:
            return None  # the first use of the client tells it

    def _miss(self, sandbox: str) -> None:
        """Note that a sandbox was deleted. The next one has nothing of it."""
        self.handover.agent = None
        if self._was_kept:
            self._was_kept = False
            self._news.append(
                f"Sandbox {sandbox}, which was kept for this notebook, was deleted. This is a new one, "
                "without its files and variables."
            )
