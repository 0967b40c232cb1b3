"""The kernel's project, as the setting `project` says: sent before a cell runs, and where cells start."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...client.models.sandboxes import VolumeMount
from ...errors import DaytonaError, MagicUsageError, SettingError
from ...project_folder import mount_of
from ...settings.notebook import FILE_VARIABLE
from ...settings.project import ProjectSetting, parse_project
from ...settings.resolution import value
from ...wire.addresses import is_loopback
from ..magic_cell import parse_magic_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...client.daytona import AsyncDaytona
    from ...client.models.sandboxes import CreateSandboxParams
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

    def add_to(self, params: CreateSandboxParams, daytona: AsyncDaytona) -> CreateSandboxParams:
        """Return the parameters of a new sandbox with the mount of the project. Raises DaytonaError."""
        if (mounted := mount_of(self._setting)) is None:
            return params
        settings = daytona.settings
        if not settings.embedded and not is_loopback(urlsplit(settings.api_url.value or "").hostname or ""):
            raise SettingError(
                f"The setting project is {mounted[0]}, but a sandbox at {settings.api_url.shown} does not "
                "see this machine's folders. No sandbox was created. To copy the folder instead, set "
                "project to the folder alone."
            )
        mode, folder = mounted
        volumes = [*(params.volumes or ()), VolumeMount(f"{mode}:{folder}", folder)]
        return replace(params, volumes=volumes)

    async def settings_of(self, sandbox: AsyncSandbox, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings of a sandbox's interpreter, with the folder where cells start.

        A project that cannot be sent does not keep the interpreter from starting: the next cell says why.
        """
        if "cwd" in values:
            return values
        if (folder := self._mounted_in(sandbox)) is not None:
            return {**values, "cwd": await asyncio.to_thread(_start_folder, folder)}
        if not self.is_sent:
            return values
        with suppress(MagicUsageError):
            return {**values, "cwd": await self.mirror().start_folder(sandbox)}
        return values

    def _mounted_in(self, sandbox: AsyncSandbox) -> str | None:
        """Return the folder of the project that a sandbox sees; None if it sees none."""
        mounted = mount_of(self._setting)
        if mounted is None or ":".join(mounted) not in [each.volume_id for each in sandbox.instance.volumes]:
            return None
        return mounted[1]

    def send_ahead(self, sandbox: AsyncSandbox) -> None:
        """Start to send the project, before a cell waits for it."""
        if self.is_sent and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._try(sandbox))

    def close(self) -> None:
        """Send nothing more ahead, because the kernel ends."""
        if self._ahead is not None:
            self._ahead.cancel()

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


def _start_folder(project: str) -> str:
    """Return the notebook's folder if it is in the project, else the project."""
    here = Path.cwd().resolve()
    return str(here) if here.is_relative_to(project) else project
