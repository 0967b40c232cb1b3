"""The secrets of an account. Their values never leave Daytona."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AccountSecret:
    """A secret of the account.

    placeholder: what a sandbox has in place of the value. Daytona's proxy replaces it in requests to `hosts`.
    """

    name: str
    placeholder: str
    hosts: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AccountSecret:
        """Return a secret from the JSON of Daytona's API."""
        return cls(str(data["name"]), str(data["placeholder"]), tuple(map(str, data.get("hosts") or ())))
