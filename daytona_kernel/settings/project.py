"""The setting `project`: the folder of the person's project, and how the sandbox gets it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

OFF = "off"
COPY = "copy"
MOUNTS = ("mount", "mount-ro")


@dataclass(frozen=True)
class ProjectSetting:
    """How the sandbox gets a folder.

    mode: "copy", or "mount" or "mount-ro" for a folder that is mounted, the latter read-only.
    folder: the path as it is written. A relative one starts at the notebook's folder.
    """

    mode: str
    folder: str

    @property
    def is_mounted(self) -> bool:
        """Whether the sandbox sees the folder itself."""
        return self.mode in MOUNTS


def parse_project(text: str) -> ProjectSetting | None:
    """Return what a value of the setting says; None for "off".

    `PATH` is copied; `mount` and `mount-ro` mount the notebook's folder, `mount:PATH` and `mount-ro:PATH`
    another one. Raises ValueError.
    """
    mode, colon, folder = text.partition(":")
    if text == OFF:
        return None
    if mode in MOUNTS:
        if colon and not folder:
            raise ValueError
        return ProjectSetting(mode, folder or ".")
    return ProjectSetting(COPY, text)


def check_project(value: object) -> str:
    """Return a value of the setting. Raises ValueError."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError
    parse_project(value.strip())
    return value.strip()
