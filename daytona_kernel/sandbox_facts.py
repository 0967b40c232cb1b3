"""What is known about a sandbox, in words for a person: whose it is, its age, its ends, its use, its price.

Names and labels may be a stranger's, for example of another notebook or of a sandbox's own code. They are
shown so that they cannot look like anything around them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .client.labels import HOST_LABEL, LABEL, NOTEBOOK_LABEL
from .client.states import Processes, state_of
from .formatting import format_bytes, format_duration, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .client.models.sandboxes import SandboxInstance, SandboxUsage

_LONGEST = 63  # of a name, in letters
_SIZES = ("cpu", "memory", "disk", "gpu")


def shown(text: str) -> str:
    """Return a name or a label as it is, or in quotes if it has more than plain letters and signs."""
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    quoted = quote(text[: _LONGEST - 1])
    return cut if quoted == f"'{text[: _LONGEST - 1]}'" else quoted


def whose(labels: Mapping[str, str], host: str) -> str:
    """Return whose a sandbox is: its notebook, and the machine unless that is `host`."""
    if LABEL not in labels:
        return "not a kernel's"
    notebook, machine = labels.get(NOTEBOOK_LABEL, ""), labels.get(HOST_LABEL, "")
    name = shown(notebook) if notebook else "a kernel without a notebook"
    return f"{name} on {shown(machine)}" if machine and machine != host else name


def age(instance: SandboxInstance, now: datetime | None = None) -> str:
    """Return the time since a sandbox was created: "3 h ago"; "" if it is unknown."""
    seconds = _seconds_since(instance.created_at, now)
    return "" if seconds is None else f"{format_duration(seconds)} ago"


def idle(instance: SandboxInstance, now: datetime | None = None) -> str:
    """Return the time since the last activity in a sandbox; "" if it is unknown."""
    seconds = _seconds_since(instance.last_activity_at, now)
    return "" if seconds is None else format_duration(seconds)


def ends(instance: SandboxInstance, now: datetime | None = None) -> list[tuple[str, str]]:
    """Return when a sandbox pauses, stops and is deleted by itself: what happens, and when."""
    rows = []
    if instance.auto_pause_interval:
        rows.append(("Pauses", _idle_end(instance, instance.auto_pause_interval, now)))
    elif instance.auto_stop_interval:
        rows.append(("Stops", _idle_end(instance, instance.auto_stop_interval, now)))
    else:
        rows.append(("Stops", "never automatically"))
    rows.append(("Deletes", _deletion(instance.auto_delete_interval)))
    if (left := _seconds_since(instance.destroyed_at, now)) is not None:
        rows.append(("Is destroyed", f"in {format_duration(max(0, -left))}, whatever its state"))
    return rows


def usage(used: SandboxUsage, *, shares_disk: bool) -> list[tuple[str, str]]:
    """Return what a sandbox uses of what it may use. shares_disk: whether its disk is this machine's."""
    memory = f"{format_bytes(used.memory_used)} of {format_bytes(used.memory_total)}"
    disk = f"{format_bytes(used.disk_used)} of {format_bytes(used.disk_total)}"
    cores = "core" if used.cpu_count == 1 else "cores"
    return [
        ("Uses CPU", f"{used.cpu_percent:g} % of {used.cpu_count:g} {cores}"),
        ("Uses memory", memory),
        ("Disk of this machine" if shares_disk else "Uses disk", f"{disk} used" if shares_disk else disk),
    ]


def price(instance: SandboxInstance, rates: Mapping[str, float]) -> str:
    """Return the price of an hour at rates by name; "" without rates.

    A sandbox that does not run has only its disk.
    """
    if not rates:
        return ""
    amounts = {name: (getattr(instance, name) or 0) * rates.get(name, 0) for name in _SIZES}
    running, resting = f"{sum(amounts.values()):.4g}", f"{amounts['disk']:.4g}"
    return f"{running} an hour while it runs, {resting} an hour while it is stopped"


def _idle_end(instance: SandboxInstance, minutes: int, now: datetime | None) -> str:
    words = f"after {format_duration(minutes * 60)} without activity"
    seconds = _seconds_since(instance.last_activity_at, now)
    if seconds is None or state_of(instance.state).processes is not Processes.RUN:
        return words
    return f"{words}: in {format_duration(max(0, minutes * 60 - seconds))}, unless it is used"


def _deletion(minutes: int | None) -> str:
    """Return when a stopped sandbox is deleted; "" if that is unknown."""
    if minutes is None:
        return ""
    if minutes < 0:
        return "never automatically"
    return f"{format_duration(minutes * 60)} after it has stopped" if minutes else "when it has stopped"


def _seconds_since(date: str | None, now: datetime | None) -> int | None:
    """Return the seconds since a date, negative for one to come; None if it is unknown."""
    try:
        then = datetime.fromisoformat(date or "")
        return round(((now or datetime.now(UTC)) - then).total_seconds())
    except (ValueError, TypeError):
        return None
