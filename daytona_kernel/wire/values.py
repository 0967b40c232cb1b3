"""Python values that travel between a sandbox and the notebook's machine.

There are three forms: JSON (None, bool, int, float, str, and lists and dicts of them), bytes, and tables
of pandas and Arrow. Reading any of them runs no code. There is no pickle, so the reader need not trust
the writer.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

# The limit for the encoded text. A variable travels as one message; larger data travels as a file.
MAX_BYTES = 64 << 20
_MAX_DEPTH = 100
# Before this version, reading a table could run code that its writer had pickled into it.
_SAFE_PYARROW = (14, 0, 1)


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A value of JSON. text: the JSON."""

    TYPE: ClassVar[str] = "json"

    text: str


@dataclass(frozen=True, slots=True)
class BytesValue:
    """Bytes. base64: their text."""

    TYPE: ClassVar[str] = "bytes"

    base64: str


@dataclass(frozen=True, slots=True)
class TableValue:
    """A table. arrow: its Arrow IPC stream in base64. pandas: whether it is a DataFrame of pandas."""

    TYPE: ClassVar[str] = "table"

    arrow: str
    pandas: bool


EncodedValue = JsonValue | BytesValue | TableValue


def encode_value(value: Any) -> EncodedValue:
    """Return the value in one of the three forms. Raises ValueError, with the reason as its text."""
    if isinstance(value, bytes | bytearray):
        text = _to_text(bytes(value))
        encoded: EncodedValue = BytesValue(text)
    elif _is_table(value):
        text, is_pandas = _encode_table(value)
        encoded = TableValue(text, is_pandas)
    else:
        _require_json(value, ())
        text = json.dumps(value)
        encoded = JsonValue(text)
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"it takes {len(text) >> 20} MiB and the limit is {MAX_BYTES >> 20} MiB; "
            "use %upload and %download for larger data"
        )
    return encoded


def decode_value(encoded: EncodedValue) -> Any:
    """Return the value that `encode_value` was given. Raises ValueError, with the reason as its text."""
    match encoded:
        case JsonValue(text):
            try:
                return json.loads(text)
            except RecursionError:
                raise ValueError("it is too deep") from None
        case BytesValue(text):
            return base64.b64decode(text, validate=True)
        case TableValue(arrow, is_pandas):
            return _decode_table(base64.b64decode(arrow, validate=True), is_pandas)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _require_json(value: Any, around: tuple[int, ...]) -> None:
    """Raise ValueError where JSON would change the value, as it changes a tuple into a list.

    around: the ids of the lists and dicts that contain the value.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return
    if id(value) in around:
        raise ValueError("it contains itself")
    if len(around) > _MAX_DEPTH:
        raise ValueError("it is too deep")
    inner = (*around, id(value))
    if isinstance(value, list):
        for each in value:
            _require_json(each, inner)
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for each in value.values():
            _require_json(each, inner)
    else:
        what = "a dict with keys that are not strings" if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"{what} has no safe form; JSON values, bytes, and tables of pandas and Arrow have one"
        )


def _is_table(value: Any) -> bool:
    # A program that has a table has imported the table's package.
    pandas, pyarrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    return (pandas is not None and isinstance(value, pandas.DataFrame)) or (
        pyarrow is not None and isinstance(value, pyarrow.Table)
    )


def _encode_table(value: Any) -> tuple[str, bool]:
    """Return the table's text, and whether it is a DataFrame."""
    pyarrow = _pyarrow()
    is_pandas = not isinstance(value, pyarrow.Table)
    try:
        table = pyarrow.Table.from_pandas(value) if is_pandas else value
    except pyarrow.ArrowException as error:
        raise ValueError(f"Arrow cannot hold this table ({error})") from None
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return _to_text(sink.getvalue()), is_pandas


def _decode_table(data: bytes, is_pandas: bool) -> Any:
    pyarrow = _pyarrow()
    try:
        table = pyarrow.ipc.open_stream(data).read_all()
        table.validate(full=True)  # the code below trusts the table's offsets and lengths
        return table.to_pandas() if is_pandas else table
    except Exception as error:  # noqa: BLE001  # a malformed table can raise anything
        raise ValueError(f"the table cannot be read ({error})") from None


def _pyarrow() -> Any:
    try:
        # Imported on demand: only tables need pyarrow, and the sandbox may lack it.
        pyarrow = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.ipc")
    except ImportError:
        raise ValueError("a table needs pyarrow, in the sandbox and on the notebook's machine") from None
    if tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit()) < _SAFE_PYARROW:
        raise ValueError(f"pyarrow {pyarrow.__version__} cannot read tables safely; install 14.0.1 or newer")
    return pyarrow
