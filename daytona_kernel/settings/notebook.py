"""The settings in a notebook's metadata: the object `daytona` beside `kernelspec` and `language_info`.

Jupyter names the notebook's file in the variable JPY_SESSION_NAME. The notebook may be a stranger's, so only
the settings that the table allows are taken from there.
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
from .table import check

FILE_VARIABLE = "JPY_SESSION_NAME"
_LARGEST = 1 << 30
# In a text of a cell or an output, the quotes are escaped, so this is found in no other place than a key.
_KEY = re.compile(rb'"daytona"\s*:')


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


def _read_metadata(file: str) -> dict[str, Any]:
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
    if not _KEY.search(content):
        return {}  # a large notebook takes long to parse
    try:
        metadata = json.loads(content)["metadata"].get("daytona", {})
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}  # Jupyter does not open it either
    return metadata if isinstance(metadata, dict) else {}
