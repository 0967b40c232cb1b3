"""JSON from strangers. Everything that is not plain JSON in UTF-8 is one kind of error."""

from __future__ import annotations

import json
import math
from typing import Any


def parse(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises `ValueError` for everything else. That includes NaN, numbers that are infinite, strings that UTF-8
    cannot hold, and nesting that is too deep for Python's parser.
    """
    text = data.decode() if isinstance(data, bytes) else data
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a string contains half of a surrogate pair") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
