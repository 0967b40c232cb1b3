"""The variables that the kernel gives to each interpreter: sent in front of a cell, if they have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...wire.conventions import ENVIRONMENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .own_requests import OwnRequests


class GivenVariables:
    """The variables of the interpreter. They belong to the relay's loop.

    wanted: returns the variables that the interpreter should have, by name.
    """

    def __init__(self, own_requests: OwnRequests, wanted: Callable[[], Mapping[str, str]]) -> None:
        self._own_requests = own_requests
        self._wanted = wanted
        # What the interpreter has; None if that is unknown.
        self._given: Mapping[str, str] | None = {}

    def give(self, subshell_id: str | None) -> None:
        """Send the variables in front of the next cell on this subshell, unless the interpreter has them."""
        wanted = self._wanted()
        if wanted != self._given:
            content = {"variables": dict(wanted)}
            self._own_requests.post("shell", ENVIRONMENT_TYPE, content, subshell_id)
            self._given = wanted

    def inherit(self) -> None:
        """Expect an interpreter that another kernel has used, and has given other variables."""
        self._given = None

    def forget_interpreter(self) -> None:
        """Expect a new interpreter."""
        self._given = {}
