"""The variables that the kernel gives to the interpreter: a person's secrets.

Each time the kernel says all of them, so that an interpreter that stays while the kernel is replaced has
what the new kernel knows. A magic call tells the kernel which variables the cells have changed. It leaves
these out: the kernel has them, and no message should carry them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class GivenEnvironment:
    """The environment of this process: as it was at the start, as given by the kernel, and as it is."""

    def __init__(self) -> None:
        self._first = dict(os.environ)
        self._given: dict[str, str] = {}

    def take(self, variables: Mapping[str, str]) -> None:
        """Have these variables, and no more those that were given before.

        A variable stays as it is if a cell has changed it since.
        """
        for name, value in self._given.items():
            if name not in variables and os.environ.get(name) == value:
                if name in self._first:
                    os.environ[name] = self._first[name]
                else:
                    del os.environ[name]
        for name, value in variables.items():
            if self._given.get(name) != value:
                os.environ[name] = value
        self._given = dict(variables)

    def changes(self) -> tuple[dict[str, str], list[str]]:
        """Return the variables that cells have set, as far as a shell can take them, and those removed."""
        now = dict(os.environ)
        before = {**self._first, **self._given}
        changed = {
            name: value
            for name, value in now.items()
            if before.get(name) != value and _is_encodable(name + value) and name.isidentifier()
        }
        return changed, [name for name in before if name not in now and name.isidentifier()]


def _is_encodable(text: str) -> bool:
    """Whether JSON can hold the text: an environment variable may hold any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
