"""IPython's transformation of `x = %sh …`, so that the magic knows that its result is assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import MagicAssign

if TYPE_CHECKING:
    from collections.abc import Container


def assignment_of(names: Container[str]) -> type[MagicAssign]:
    """Return a token transformer for assignments of these magics.

    It turns `x = %sh ls` into `x = get_ipython().find_line_magic('sh').assigned('ls')`.
    """

    class KernelMagicAssign(MagicAssign):
        priority = MagicAssign.priority - 1

        @classmethod
        def find(cls, tokens_by_line: Any) -> Any:
            # Line by line, because the cell's first assignment may be another magic's.
            for line in tokens_by_line:
                found: Any = super().find([line])  # type: ignore[no-untyped-call]
                if found is not None and _magic_name(line, found) in names:
                    return found
            return None

        def transform(self, lines: list[str]) -> list[str]:
            # IPython's own text, which it does not document, is
            # `x = get_ipython().run_line_magic('sh', 'ls')`.
            transformed: list[str] = super().transform(lines)
            line = transformed[self.start_line]
            head, tail = line[: self.start_col], line[self.start_col :]
            name, arguments = tail.removeprefix("get_ipython().run_line_magic(").split(", ", 1)
            transformed[self.start_line] = f"{head}get_ipython().find_line_magic({name}).assigned({arguments}"
            return transformed

    return KernelMagicAssign


def _magic_name(line: Any, found: Any) -> str:
    """Return the token behind the `%` at the position `found`."""
    starts = [token.start for token in line]
    position = (found.start_line + 1, found.start_col)
    return str(line[starts.index(position) + 1].string)
