"""The combinations of settings that no sandbox can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SettingError
from .declaration import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .resolution import Found

_SIZES = ("cpu", "memory", "disk", "gpu")
_ORDER = list(Origin)


def combine(found: Mapping[str, Found]) -> dict[str, Found]:
    """Return the settings without those that a more important one replaces. Raises SettingError.

    An image replaces a snapshot of a later place, and the reverse. A snapshot replaces the sizes of later
    places, because it decides the size.
    """
    chosen = dict(found)
    for one, other in (("image", "snapshot"), ("snapshot", "image")):
        if one in chosen and other in chosen and _is_before(chosen[one], chosen[other]):
            del chosen[other]
    if "snapshot" in chosen:
        for name in _SIZES:
            if name in chosen and _is_before(chosen["snapshot"], chosen[name]):
                del chosen[name]
    _refuse(chosen, "image", "snapshot", "A sandbox is created from one of them")
    for name in _SIZES:
        _refuse(chosen, name, "snapshot", "A snapshot decides the size of its sandboxes")
    _combine_idle(chosen)
    if "network_block_all" in chosen and chosen["network_block_all"].value:
        for name in ("network_allow_list", "domain_allow_list"):
            _refuse(chosen, "network_block_all", name, "A sandbox without a network reaches no address")
    return chosen


def _combine_idle(chosen: dict[str, Found]) -> None:
    """Let auto-stop and auto-pause of a more important place replace the other one."""
    for one, other in (("auto_stop", "auto_pause"), ("auto_pause", "auto_stop")):
        both = one in chosen and other in chosen
        if both and chosen[one].value and _is_before(chosen[one], chosen[other]):
            del chosen[other]
    if all(name in chosen and chosen[name].value for name in ("auto_stop", "auto_pause")):
        _refuse(chosen, "auto_stop", "auto_pause", "An idle sandbox stops or pauses, and not both")


def refused_size(found: Mapping[str, Found]) -> SettingError:
    """Return the error for sizes that Daytona refuses, because they come without an image."""
    sizes = " and ".join(f"{name} ({found[name].source})" for name in _SIZES if name in found)
    return SettingError(
        f"Daytona takes {sizes or 'a size'} only together with an image. No sandbox was created. Set "
        "`image`, for example to python:3.13, or leave the size out."
    )


def refused_pause(found: Mapping[str, Found]) -> SettingError:
    """Return the error for a pause that Daytona refuses, because of the class of the sandbox."""
    named = " and ".join(
        f"{name} ({found[name].source})" for name in ("auto_pause", "at_shutdown") if name in found
    )
    return SettingError(
        f"Daytona cannot pause sandboxes of this class, so it refuses {named or 'a pause'}. No sandbox was "
        "created. Set auto_stop and at_shutdown=stop instead: a stop keeps files, and loses variables."
    )


def _is_before(one: Found, other: Found) -> bool:
    return _ORDER.index(one.origin) < _ORDER.index(other.origin)


def _refuse(found: Mapping[str, Found], one: str, other: str, reason: str) -> None:
    if one in found and other in found:
        both = " and ".join(f"{name} ({found[name].source})" for name in (one, other))
        raise SettingError(
            f"{reason}, so {both} exclude each other. Nothing was done. Leave out one of the two."
        )
