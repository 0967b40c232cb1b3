"""Options that several magics share."""

from __future__ import annotations

from .signature import Option


def parse_seconds(text: str) -> int:
    """Return whole seconds. Raises ValueError."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def parse_assignment(text: str) -> tuple[str, str]:
    """Return the name and the value of `NAME=VALUE`. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return name, value


TIMEOUT = Option("timeout", "whole seconds after which the command is ended", "S", parse_seconds)
NO_RAISE = Option("no-raise", "let the cell succeed whatever the exit status")
ENV = Option("env", "NAME=VALUE for its environment", "K=V", parse_assignment, repeated=True)
