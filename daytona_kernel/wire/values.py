"""Values between the notebook's machine and the sandbox, in forms that run no code when they are read.

JSON for what is made of numbers, texts, lists and dictionaries; Arrow for tables of pandas and
pyarrow; bytes as they are. Never pickle: what a sandbox sends may be anything.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any


class ValueTransferError(Exception):
    """The value has no safe form, or the other side lacks what reads it; the message says which."""


def encode_value(name: str, value: Any) -> tuple[str, bytes]:
    """Return the form ("json", "bytes", "arrow-table" or "arrow-frame") and the bytes of a value.

    name: what the value is called, for errors. Raises ValueTransferError.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes", bytes(value)
    for module, kind, form in (("pandas", "DataFrame", "arrow-frame"), ("pyarrow", "Table", "arrow-table")):
        # A value of a package that was not imported cannot be there.
        package = sys.modules.get(module)
        if package is not None and isinstance(value, getattr(package, kind)):
            return form, _encode_table(name, value, frame=form == "arrow-frame")
    if not _is_plain(value, 0):
        raise ValueTransferError(
            f"{name} is a {type(value).__qualname__}, which has no safe form: only numbers, texts, lists, "
            "dictionaries with texts as keys, bytes, and tables of pandas or pyarrow do."
        )
    return "json", json.dumps(value).encode("utf-8", "surrogatepass")


def decode_value(name: str, form: str, data: bytes) -> Any:
    """Return the value. Raises ValueTransferError when it is not what its form says."""
    try:
        if form == "json":
            return json.loads(data)
        if form == "bytes":
            return bytes(data)
        if form in ("arrow-table", "arrow-frame"):
            table = _pyarrow(name).ipc.open_stream(data).read_all()
            return table.to_pandas() if form == "arrow-frame" else table
    except ValueTransferError:
        raise
    except Exception as error:
        raise ValueTransferError(f"{name} came in a form that cannot be read: {error}") from None
    raise ValueTransferError(f"{name} came in an unknown form, {form!r}.")


def _encode_table(name: str, value: Any, *, frame: bool) -> bytes:
    pyarrow = _pyarrow(name)
    try:
        table = pyarrow.Table.from_pandas(value) if frame else value
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())
    except Exception as error:
        raise ValueTransferError(f"{name} cannot be written as Arrow: {error}") from None


def _pyarrow(name: str) -> Any:
    try:
        import_module("pyarrow.ipc")
        return import_module("pyarrow")
    except ImportError:
        raise ValueTransferError(f"{name} is a table, and pyarrow, which carries it, is missing.") from None


def _is_plain(value: Any, depth: int) -> bool:
    """Whether JSON gives the value back as it is."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if depth > 100:
        return False
    if type(value) is list:
        return all(_is_plain(each, depth + 1) for each in value)
    if type(value) is dict:
        return all(type(key) is str and _is_plain(each, depth + 1) for key, each in value.items())
    return False
