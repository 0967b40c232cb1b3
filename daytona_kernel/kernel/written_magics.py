"""Finds the magics in a cell's text, as IPython would run them there.

IPython's own transformation turns each of them into a call of `run_line_magic` or `run_cell_magic` with
constant arguments, and leaves the text of strings and comments alone. The calls are then read from the
syntax tree, so that a magic in a string, or one whose name or line is computed, is not found.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import TransformerManager

from .magic_cell import parse_magic_cell

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

# IPython's magics whose line or body is a text that IPython runs as a cell.
_RUN_THEIR_TEXT = ("capture", "prun", "time")
_REPEAT_THEIR_TEXT = ("timeit",)

# The options that these magics have in front of the text, such as `-n 10 -r3`.
_OPTIONS = re.compile(r"\A(?:-\w+(?:\s+\d+)?\s+)*")

_REPEATING = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True)
class WrittenMagic:
    """A magic in a cell's text.

    line: the text after the magic's name, as it is written. body: the lines below a cell magic; None for
        a line magic.
    repeats: whether the magic may run more than once, because it is in a loop or in a function.
    """

    name: str
    line: str
    body: str | None
    repeats: bool = False


def find_written_magics(code: str, names: Container[str]) -> list[WrittenMagic]:
    """Return the magics with these names in a cell's text, in its order; none if it has a syntax error."""
    try:
        return [each for each in _find(code) if each.name in names] or _automagic(code, names)
    except (SyntaxError, ValueError, RuntimeError, MemoryError):
        return _automagic(code, names)


def _find(code: str) -> Iterator[WrittenMagic]:
    tree = ast.parse(TransformerManager().transform_cell(code))
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, repeats = pending.pop()
        if isinstance(node, ast.Call) and (found := _read_call(node)) is not None:
            found = replace(found, repeats=repeats)
            yield found
            yield from _find_within(found)
        repeats = repeats or isinstance(node, _REPEATING)
        pending += [(child, repeats) for child in reversed(list(ast.iter_child_nodes(node)))]


def _read_call(node: ast.Call) -> WrittenMagic | None:
    """Return the magic that `get_ipython().run_line_magic('name', 'line')` runs, and None for other calls."""
    match node:
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Name(id="get_ipython"), args=[], keywords=[]),
                attr="run_line_magic" | "run_cell_magic" as method,
            ),
            args=[*arguments],
            keywords=[],
        ):
            texts: list[Any] = [each.value if isinstance(each, ast.Constant) else None for each in arguments]
            expected = 2 if method == "run_line_magic" else 3
            if len(texts) == expected and all(isinstance(text, str) for text in texts):
                name, line, body = [*texts, None][:3]
                return WrittenMagic(name, line.strip(), body)
    return None


def _find_within(outer: WrittenMagic) -> Iterator[WrittenMagic]:
    """Find the magics in the text that IPython's own magic runs, as in `%time %upload data.csv`."""
    repeats = outer.repeats or outer.name in _REPEAT_THEIR_TEXT
    if outer.name not in (*_RUN_THEIR_TEXT, *_REPEAT_THEIR_TEXT):
        return
    try:
        for each in _find(outer.body if outer.body is not None else _OPTIONS.sub("", outer.line)):
            yield replace(each, repeats=repeats or each.repeats)
    except (SyntaxError, ValueError, RuntimeError, MemoryError):
        return


def _automagic(code: str, names: Container[str]) -> list[WrittenMagic]:
    """Return the magic of a single line such as `upload data.csv`, which is not Python."""
    if len(code.strip().splitlines()) != 1:
        return []
    try:
        ast.parse(code.strip())
    except SyntaxError:
        found = parse_magic_cell("%" + code.strip(), names)
        return [WrittenMagic(found.name, found.line, None)] if found is not None else []
    except (ValueError, RuntimeError, MemoryError):
        pass
    return []
