"""The folder of the person's project on this machine, as the setting `project` names it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import MagicUsageError
from .settings.project import ProjectSetting, parse_project
from .settings.resolution import value


def project_folder(path: str) -> str:
    """Return the absolute real path of a project's folder; a relative path starts at the notebook's.

    Raises MagicUsageError if it is no folder, or one that nobody means.
    """
    folder = os.path.realpath(Path(path).expanduser())
    if not Path(folder).is_dir():
        raise MagicUsageError(f"The project's folder {folder} does not exist. Nothing was sent.")
    home = os.path.realpath(Path("~").expanduser())
    if folder == "/" or Path(home).is_relative_to(folder):
        raise MagicUsageError(
            f"The project's folder would be {folder}, with all that you have. Nothing was sent. Open the "
            "notebook in a folder of its own, or name one in the setting project."
        )
    return folder


def mounted_project() -> tuple[str, str] | None:
    """Return the mode and the folder of a project that is mounted; None if none is. Raises DaytonaError."""
    return mount_of(parse_project(value("project", strict="off") or "off"))


def mount_of(setting: ProjectSetting | None) -> tuple[str, str] | None:
    """Return the mode and the folder of a setting; None if nothing is mounted. Raises DaytonaError."""
    if setting is None or not setting.is_mounted:
        return None
    return setting.mode, project_folder(setting.folder)
