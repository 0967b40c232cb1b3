"""The settings of the kernel's sandbox: found before it is created, and kept for the next kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...sandbox_params import find_settings
from ...settings.combinations import refused_pause, refused_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...errors import DaytonaBadRequestError, DaytonaError
    from ...settings.resolution import Found
    from .handover import Handover

_OF_INTERPRETER = ("packages", "cwd", "python")
# Daytona's words about a size without an image.
_SIZE_REFUSED = "resources when using a snapshot"
# Daytona's words about a class that cannot pause.
_PAUSE_REFUSED = "paus"


class SandboxSettings:
    """The settings of one kernel's sandboxes. They belong to the API thread's loop.

    handover: the state that the next kernel gets. This class changes its field `options`, and the caller
        writes it to the file.
    found: the settings of the sandbox where cells run, by name; empty before there is one.
    """

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self.found: Mapping[str, Found] = {}
        # The options and the settings of created sandboxes where no cell has run yet, by the sandbox's id.
        self._created: dict[str, tuple[dict[str, Any], Mapping[str, Found]]] = {}

    @property
    def values(self) -> dict[str, Any]:
        """The values by name."""
        return {name: each.value for name, each in self.found.items()}

    @property
    def at_shutdown(self) -> str:
        """What happens to an own sandbox when the kernel ends: "delete", "keep", "stop" or "pause"."""
        return str(self.values.get("at_shutdown", "delete"))

    async def find(self, options: Mapping[str, Any]) -> dict[str, Found]:
        """Return the settings for a new sandbox. Raises SettingError."""
        return await asyncio.to_thread(find_settings, options)

    async def find_again(self, *, is_own: bool) -> None:
        """Find the settings of a sandbox that this process has not created. Raises SettingError.

        is_own: whether an earlier process of this kernel has created it. Otherwise only the settings of its
            interpreter apply.
        """
        found = await self.find(self._handover.options)
        self.found = {name: each for name, each in found.items() if is_own or name in _OF_INTERPRETER}

    async def change(self, **options: Any) -> None:
        """Set settings of the sandbox where cells run, as a magic's options do. Raises SettingError."""
        self._handover.options = {**self._handover.options, **options}
        await self.find_again(is_own=True)

    def remember(self, sandbox_id: str, options: Mapping[str, Any], found: Mapping[str, Found]) -> None:
        """Remember the settings of a sandbox that has been created."""
        self._created[sandbox_id] = dict(options), found

    async def adopt(self, sandbox_id: str) -> None:
        """Use the settings of a sandbox, because cells run there from now on. Raises SettingError."""
        if sandbox_id in self._created:
            self._handover.options, self.found = self._created.pop(sandbox_id)
        else:
            self._handover.options = {}
            await self.find_again(is_own=False)


def explain(error: DaytonaBadRequestError, found: Mapping[str, Found]) -> DaytonaError:
    """Return an error of `create` in words of the settings, where it is about them."""
    if _SIZE_REFUSED in error.message:
        return refused_size(found)
    return refused_pause(found) if _PAUSE_REFUSED in error.message.lower() else error
