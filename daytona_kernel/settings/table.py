"""The table of settings: the name of each, its kind, its meaning, and the places that it may come from.

`docs/environment.md` shows this table, and a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from .account import ACCOUNT
from .machine import MACHINE
from .sandbox import SANDBOX

if TYPE_CHECKING:
    from .declaration import Declaration, Origin

TABLE = {each.name: each for each in (*ACCOUNT, *MACHINE, *SANDBOX)}


def declared(name: str, origin: Origin) -> Declaration:
    """Return a setting that may come from a place. Raises SettingError."""
    declaration = TABLE.get(name)
    if declaration is None:
        from difflib import get_close_matches

        known = [each.name for each in TABLE.values() if origin in each.origins]
        close = get_close_matches(str(name), known, 1)
        raise SettingError(f"there is no setting {name!r}" + (f"; there is {close[0]!r}" if close else ""))
    if origin not in declaration.origins:
        places = " or ".join(each.value for each in declaration.origins)
        raise SettingError(f"{name} is never taken from here, only from: {places}")
    return declaration


def check(name: str, value: Any, origin: Origin) -> Any:
    """Return the value of a setting, given as JSON. Raises SettingError if it cannot come from this place."""
    declaration = declared(name, origin)
    try:
        return declaration.kind.check(value)
    except (ValueError, AttributeError, TypeError):
        is_shown = not declaration.private and isinstance(value, str | int | float | None)
        shown = f", not {value!r}" if is_shown else ""
        raise SettingError(f"{name} takes {declaration.kind.help}{shown}") from None
