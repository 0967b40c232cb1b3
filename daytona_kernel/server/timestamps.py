"""Timestamps in the API's format."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp() -> str:
    """Return the current time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
