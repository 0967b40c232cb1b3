"""What the file of a notebook declares: settings in its metadata, and the packages that it needs.

The settings are the object `daytona` beside `kernelspec` and `language_info`. Jupyter names the file in the
variable JPY_SESSION_NAME. The notebook may be a stranger's, so only the settings that the table allows are
taken from there.
"""

from __future__ import annotations

import json
import os
import re
import stat
from typing import Any

from ..errors import SettingError
from ..file_flags import BINARY, CLOSE_ON_EXEC, NON_BLOCKING
from .declaration import Origin
from .script_block import BEGIN, ScriptBlock, check_block, parse
from .table import check

FILE_VARIABLE = "JPY_SESSION_NAME"
_LARGEST = 1 << 30
# In a text of a cell or an output, the quotes are escaped, so this is found in no other place than a key.
_KEY = re.compile(rb'"daytona"\s*:')
_BLOCK = re.compile(re.escape(BEGIN.encode()) + rb'|"uv"\s*:')


def read(file: str) -> dict[str, Any]:
    """Return the values in a notebook by name; none if there is no such notebook. Raises SettingError."""
    metadata = _read_metadata(file)
    values = {}
    for name, value in metadata.items():
        try:
            values[name] = check(name, value, Origin.NOTEBOOK)
        except SettingError as error:
            raise SettingError(
                f"The notebook's metadata has {name!r} in `daytona`, but {error.message}. No sandbox was "
                "created. Change the notebook's metadata, save the notebook, and run the cell again."
            ) from None
    return values


def read_script_block(file: str) -> ScriptBlock | None:
    """Return what a notebook needs; None if it does not say. Raises SettingError.

    The first script block in its cells counts, or else the object `uv` in its metadata.
    """
    notebook = _read(file, _BLOCK)
    cells = notebook.get("cells", [])
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if (block := parse(text)) is not None:
            return block
    metadata = notebook.get("metadata")
    values = metadata.get("uv") if isinstance(metadata, dict) else None
    return check_block(values, "In `uv` of the notebook's metadata") if isinstance(values, dict) else None


def _read_metadata(file: str) -> dict[str, Any]:
    metadata = _read(file, _KEY).get("metadata")
    values = metadata.get("daytona") if isinstance(metadata, dict) else None
    return values if isinstance(values, dict) else {}


def _read(file: str, sought: re.Pattern[bytes]) -> dict[str, Any]:
    """Return the notebook in a file; an empty object if there is none, or nothing in it is sought."""
    if not file.endswith(".ipynb"):
        return {}
    try:
        descriptor = os.open(file, os.O_RDONLY | NON_BLOCKING | CLOSE_ON_EXEC | BINARY)
    except OSError:
        return {}
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return {}
        content = opened.read(_LARGEST)
    if not sought.search(content):
        return {}  # a large notebook takes long to parse
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError):
        return {}  # Jupyter does not open it either
    return notebook if isinstance(notebook, dict) else {}
