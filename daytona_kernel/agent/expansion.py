"""The user's variables in the line of a kernel magic: `{expression}` and `$name`, as after IPython's `!`.

IPython itself leaves the whole line as it is if one piece cannot be evaluated, and takes `$i` for the Python
variable even in `for i in 1 2; do echo $i; done`. Here each piece is evaluated alone, and the shell keeps
its own pieces:

    $name           not within single quotes, after a backslash, or where the command sets `name` itself
    ${name}, $$     never
    {expression}    where it can be evaluated; not `{a,b}`, a constant as in JSON, or a name that only
                    Python has, as in awk's `{print}`
    $$name          is `$name` for the shell, where `name` is yours
"""

from __future__ import annotations

import ast
import re
from string import Formatter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE = re.compile(
    r"""
    \\. | ["'] | \$\{[^}]*\}
    | \$\$(?P<escaped>[A-Za-z_]\w*)
    | \$(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | \{\{ | \}\}
    | \{(?P<expression>[^{}]+)\}
    """,
    re.VERBOSE,
)
# `for i in`, `i=`, `read i j`: names that the command gives a value.
_SET = re.compile(
    r"\bfor\s+(\w+)\s+in\b|(?:^|[\s;&|({])(\w+)\+?=|\bread((?:\s+-\w+)*(?:\s+\w+)+)",
)


def expand(line: str, namespace: Mapping[str, Any]) -> str:
    """Return the line with the user's values filled in. namespace: the names that the cell sees."""
    own = _names_set_in(line)
    pieces = []
    position = 0
    quote = ""
    for match in _PIECE.finditer(line):
        text = match[0]
        pieces.append(line[position : match.start()])
        position = match.end()
        if text in ("'", '"'):
            quote = text if not quote else "" if quote == text else quote
        elif match["escaped"] in namespace and quote != "'":
            text = f"${match['escaped']}"
        elif match["name"] is not None and quote != "'":
            text = _variable(match["name"], own, namespace)
        elif match["expression"] is not None:
            text = _value(match["expression"], namespace, text)
        pieces.append(text)
    return "".join(pieces) + line[position:]


def _names_set_in(line: str) -> set[str]:
    return {name for match in _SET.finditer(line) for each in match.groups() if each for name in each.split()}


def _variable(dotted: str, own: set[str], namespace: Mapping[str, Any]) -> str:
    """Return the value of `$name`, or of the longest `$name.attribute` that exists: `$name.txt` is a file."""
    name, *attributes = dotted.split(".")
    if name in own or name not in namespace:
        return f"${dotted}"
    value = namespace[name]
    while attributes:
        try:
            value = getattr(value, attributes[0])
        except Exception:  # noqa: BLE001  # a property of the user can raise anything
            break
        attributes.pop(0)
    return ".".join([str(value), *attributes])


def _value(field: str, namespace: Mapping[str, Any], otherwise: str) -> str:
    try:
        ((_, expression, spec, conversion),) = Formatter().parse(f"{{{field}}}")
        body = ast.parse((expression or "").strip(), mode="eval").body
        only_pythons = isinstance(body, ast.Name) and body.id not in namespace
        if only_pythons or isinstance(body, ast.Tuple | ast.Constant):
            return otherwise
        # The user's own line, in the user's own interpreter.
        value = eval((expression or "").strip(), dict(namespace))  # noqa: S307
        return format(Formatter().convert_field(value, conversion), spec or "")
    except Exception:  # noqa: BLE001  # the user's expression can raise anything
        return otherwise
