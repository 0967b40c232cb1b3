"""The user's file of settings: JSON beside the other files of Jupyter's configuration.

Jupyter's own commands write JSON there, and nothing in JSON can run. The file is for its owner only, because
the variables in it may be secrets.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from .declaration import Origin
from .private_file import UnusableFileError, read_text, write_text
from .table import check

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "daytona_kernel_config.json"
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[][{}]')


def path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the path of the file; None if the variable JUPYTER_NO_CONFIG says that there is none.

    The folder is the first that `jupyter --paths` lists for the configuration. Importing jupyter_core for it
    would delay each kernel.
    """
    if environ.get("JUPYTER_NO_CONFIG"):
        return None
    if named := environ.get("JUPYTER_CONFIG_DIR"):
        return Path(named) / NAME
    if environ.get("JUPYTER_PLATFORM_DIRS", "no").lower() not in ("no", "n", "false", "off", "0", "0.0"):
        return Path(environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "jupyter" / NAME
    return Path("~/.jupyter").expanduser() / NAME


def read(file: Path | None) -> dict[str, Any]:
    """Return the values in the file by name; none if there is no file. Raises SettingError."""
    text = None if file is None else _read_text(file)
    if text is None:
        return {}
    values = {}
    for name, value in _parse(file, text).items():
        try:
            values[name] = check(name, value, Origin.FILE)
        except SettingError as error:
            raise _wrong(file, _line_of(name, text), error.message) from None
    return values


def load(file: Path) -> dict[str, Any]:
    """Return the file's JSON object as it is; an empty one if there is no file. Raises SettingError."""
    text = _read_text(file)
    return {} if text is None else _parse(file, text)


def _parse(file: Path | None, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(file, error.lineno, f"this is not JSON ({error.msg})") from None
    except RecursionError:
        raise _wrong(file, 1, "this is nested too deeply") from None
    if not isinstance(content, dict):
        raise _wrong(file, 1, "this is not a JSON object")
    return content


def write(file: Path, values: Mapping[str, Any]) -> None:
    """Replace the file by one with these values, in one step. Raises OSError."""
    write_text(file, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _read_text(file: Path) -> str | None:
    try:
        return read_text(file)
    except UnusableFileError as error:
        raise _wrong(file, error.line, error.problem) from None


def _line_of(name: str, text: str) -> int:
    """Return the line of a name in the outermost object of a JSON text."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif depth == 1 and token[2] and json.loads(f'"{token[1]}"', strict=False) == name:
            return text.count("\n", 0, token.start()) + 1
    return 1


def _wrong(file: Path | None, line: int | None, what: str) -> SettingError:
    place = f"{file}, line {line}" if line is not None else str(file)
    return SettingError(
        f"{place}: {what}. Until that is corrected, the kernel cannot read the settings in this file, and "
        "creates no sandbox. Correct it, then restart the kernel."
    )
