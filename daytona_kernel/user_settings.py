"""`daytona-kernel config`: the settings in force, and changes of the user's file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import SettingError
from .formatting import format_columns
from .settings import user_file
from .settings.declaration import Origin
from .settings.resolution import process_settings
from .settings.table import TABLE, declared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NO_FILE = "JUPYTER_NO_CONFIG is set, so there is no user's file. Unset it to use one."


def show() -> str:
    """Return a table of the settings that have a value here. Raises SettingError."""
    found = process_settings(TABLE.values())
    if not found:
        return f"No setting has a value in the environment or in {_file()}. docs/environment.md lists all."
    rows = [(each.name, each.shown, each.source) for each in found.values()]
    return format_columns([("SETTING", "VALUE", "FROM"), *rows])


def put(name: str, pieces: Sequence[str]) -> str:
    """Write a setting into the file, and return a sentence about it. Raises SettingError and OSError."""
    setting = declared(name, Origin.FILE)
    try:
        value = setting.kind.from_pieces(pieces)
    except ValueError:
        raise SettingError(f"{name} takes {setting.kind.help}. Nothing was changed.") from None
    file = _file()
    user_file.write(file, {**user_file.load(file), name: value})
    done = f"{name} is {setting.kind.show(value)}, in {file}. Kernels that start from now on use it."
    if not os.environ.get(setting.variable):
        return done
    return f"{done} But {setting.variable} is set here, and takes precedence."


def remove(name: str) -> str:
    """Remove a setting from the file, whatever its value. Raises SettingError and OSError."""
    file = _file()
    values = user_file.load(file)
    if name not in values:
        raise SettingError(f"There is no {name} in {file}. Nothing was changed.")
    del values[name]
    user_file.write(file, values)
    return f"{name} is no longer in {file}."


def path() -> str:
    """Return the file's path. Raises SettingError."""
    return str(_file())


def _file() -> Path:
    file = user_file.path()
    if file is None:
        raise SettingError(_NO_FILE)
    return file
