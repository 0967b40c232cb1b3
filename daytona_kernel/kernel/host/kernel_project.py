"""The kernel's project, as the setting `project` says: sent before a cell runs, and where cells start."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, MagicUsageError, SettingError
from ...settings.notebook import FILE_VARIABLE
from ...settings.project import ProjectSetting, parse_project
from ...settings.resolution import value
from ..magic_cell import parse_magic_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...client.sandbox import AsyncSandbox
    from ...magics.project.mirror import Mirror
    from ...wire.messages import Message

# Magics that do not need the project, and must run when it cannot be sent.
_WITHOUT = ("sync", "sandbox", "daytona", "upload", "download", "local", "put", "get")
_UNRUN = "The project was not sent, so the cell has not run."


class KernelProject:
    """The project of one kernel. It belongs to the API thread's loop.

    is_sent: whether what has changed goes to the sandbox before each cell. Any thread may read this.
    """

    def __init__(self) -> None:
        # If the setting cannot be read, the next cell says so.
        text = value("project", strict="off") or "off"
        self._setting: ProjectSetting | None = parse_project(text)
        self.is_sent = self._setting is not None and not self._setting.is_mounted
        self._mirror: Mirror | None = None
        self._ahead: asyncio.Task[Any] | None = None

    def mirror(self) -> Mirror:
        """Return the project with its copy, also if it is copied only on demand. Raises MagicUsageError."""
        from ...magics.project.mirror import Mirror

        if self._setting is not None and self._setting.is_mounted:
            raise MagicUsageError(
                "The project is mounted: the sandbox sees the folder itself, and nothing is copied."
            )
        if self._mirror is None:
            folder = "." if self._setting is None else self._setting.folder
            self._mirror = Mirror(folder, os.environ.get(FILE_VARIABLE, ""))
        return self._mirror

    async def settings_of(self, sandbox: AsyncSandbox, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings of a sandbox's interpreter, with the folder where cells start.

        A project that cannot be sent does not keep the interpreter from starting: the next cell says why.
        """
        if not self.is_sent or "cwd" in values:
            return values
        with suppress(MagicUsageError):
            return {**values, "cwd": await self.mirror().start_folder(sandbox)}
        return values

    def send_ahead(self, sandbox: AsyncSandbox) -> None:
        """Start to send the project, before a cell waits for it."""
        if self.is_sent and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._try(sandbox))

    async def _try(self, sandbox: AsyncSandbox) -> None:
        with suppress(DaytonaError):  # the next cell tries again, and tells
            await self.mirror().push(sandbox)

    async def send(self, sandbox: AsyncSandbox) -> None:
        """Send what has changed, for a cell that waits. Raises DaytonaError: then the cell must not run."""
        try:
            await self.mirror().push(sandbox)
        except SettingError:
            raise
        except DaytonaError as error:
            raise type(error)(f"{error.message} {_UNRUN}") from None

    def concerns(self, request: Message, code: str) -> bool:
        """Return whether a cell needs the project. Any thread may call this."""
        return request.content.get("silent") is not True and parse_magic_cell(code, _WITHOUT) is None
