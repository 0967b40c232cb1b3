"""The user's file of settings: JSON beside the other files of Jupyter's configuration.

Jupyter's own commands write JSON there, and nothing in JSON can run. The file is for its owner only, because
the variables in it may be secrets.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from .declarations import Origin, check

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "daytona_kernel_config.json"
_LARGEST = 1 << 20
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
    import tempfile  # a kernel, which only reads, does not wait for this import

    target = file.resolve()  # the file may be a link into a folder that the person keeps in git
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=f".{NAME}-", dir=target.parent)  # for the owner only
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        Path(part).replace(target)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise


def _read_text(file: Path) -> str | None:
    try:
        # O_NONBLOCK: opening a FIFO would wait for its other end.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _wrong(file, None, f"it cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _wrong(file, None, "it is not a file")
        if status.st_uid not in (os.geteuid(), 0):
            raise _wrong(file, None, "it belongs to another user")
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _wrong(file, None, "it is larger than 1 MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(file, content.count(b"\n", 0, error.start) + 1, "this is not UTF-8") from None


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
        f"{place}: {what}. Until that is mended, this file's settings cannot be known, and no sandbox is "
        "created. Mend it, then restart the kernel."
    )
