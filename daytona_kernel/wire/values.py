"""Python values between a sandbox and the notebook's machine, in a form that runs nothing when it is read.

    {"json": text}                  None, bool, int, float, str, and lists and dicts of them
    {"bytes": base64}               bytes
    {"arrow": base64, "pandas": …}  a table as an Arrow IPC stream; `pandas`: whether it is a DataFrame

There is no other form, and never a pickle: the reader need not trust the writer.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

# Of the text. A variable travels as one message; what is larger goes as a file.
MAX_BYTES = 64 << 20
# Before this one, reading a table could run what its writer had pickled into it.
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


def encode_value(value: Any) -> dict[str, Any]:
    """Return the value in its form. Raises ValueError, in a sentence, when it has none."""
    if isinstance(value, bytes | bytearray):
        encoded: dict[str, Any] = {"bytes": _to_text(bytes(value))}
    elif _is_table(value):
        encoded = _encode_table(value)
    else:
        _require_json(value, ())
        encoded = {"json": json.dumps(value)}
    size = max(len(part) for part in encoded.values() if isinstance(part, str))
    if size > MAX_BYTES:
        raise ValueError(
            f"it takes {size >> 20} MiB, and a variable may take {MAX_BYTES >> 20}; "
            "%upload and %download carry files of any size"
        )
    return encoded


def decode_value(encoded: dict[str, Any]) -> Any:
    """Return the value that `encode_value` was given. Raises ValueError, in a sentence."""
    if "json" in encoded:
        return json.loads(encoded["json"])
    if "bytes" in encoded:
        return base64.b64decode(encoded["bytes"], validate=True)
    if "arrow" in encoded:
        return _decode_table(base64.b64decode(encoded["arrow"], validate=True), encoded.get("pandas") is True)
    raise ValueError("its form is unknown")


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _require_json(value: Any, around: tuple[int, ...]) -> None:
    """Raise ValueError where JSON would change the value, as a tuple to a list."""
    if value is None or isinstance(value, bool | int | float | str):
        return
    if id(value) in around:
        raise ValueError("it contains itself")
    if len(around) > 100:
        raise ValueError("it is too deep")
    inner = (*around, id(value))
    if isinstance(value, list):
        for each in value:
            _require_json(each, inner)
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for each in value.values():
            _require_json(each, inner)
    else:
        what = "a dict whose keys are not all text" if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"{what} has no safe form: values as in JSON, bytes, and tables of pandas and Arrow have"
        )


def _is_table(value: Any) -> bool:
    # Who has one has imported its package.
    pandas, pyarrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    return (pandas is not None and isinstance(value, pandas.DataFrame)) or (
        pyarrow is not None and isinstance(value, pyarrow.Table)
    )


def _encode_table(value: Any) -> dict[str, Any]:
    pyarrow = _pyarrow()
    is_pandas = not isinstance(value, pyarrow.Table)
    try:
        table = pyarrow.Table.from_pandas(value) if is_pandas else value
    except pyarrow.ArrowException as error:
        raise ValueError(f"Arrow cannot hold this table ({error})") from None
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {"arrow": _to_text(sink.getvalue()), "pandas": is_pandas}


def _decode_table(data: bytes, is_pandas: bool) -> Any:
    pyarrow = _pyarrow()
    try:
        table = pyarrow.ipc.open_stream(data).read_all()
        table.validate(full=True)  # what follows reads it without looking
        return table.to_pandas() if is_pandas else table
    except Exception as error:
        # Nonsense in a stranger's table can show itself in any way.
        raise ValueError(f"the table cannot be read ({error})") from None


def _pyarrow() -> Any:
    try:
        # Not an import of the wire's: who has no tables needs no pyarrow.
        pyarrow = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.ipc")
    except ImportError:
        raise ValueError("a table needs pyarrow, in the sandbox and beside the kernel") from None
    if tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit()) < _SAFE_PYARROW:
        raise ValueError(f"pyarrow {pyarrow.__version__} is not safe for this: it must be 14.0.1 or newer")
    return pyarrow
