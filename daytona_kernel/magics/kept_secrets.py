"""The secrets that a person has given to a kernel's sandbox, kept in the kernel's memory and nowhere else.

A sandbox that the kernel creates in place of another one gets them too. A sandbox that the person attaches
may be shared with others, so it gets none of them, and the kernel forgets them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from .. import known_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class KeptSecret:
    """A secret.

    source: where it came from, for a person. is_masked: whether outputs hide the value.
    account_name: the name of the account's secret for which the value stands; None for a value of the person.
    """

    value: str = field(repr=False)
    source: str
    is_masked: bool
    account_name: str | None = None


class KeptSecrets:
    """The secrets by name. They belong to the API thread's loop.

    variables: the values by name. The mapping is replaced and never changed, so any thread may read it.
    removed: the latest values of the names that have been forgotten, which shells may still have.
    """

    def __init__(self) -> None:
        self._kept: dict[str, KeptSecret] = {}
        self.variables: Mapping[str, str] = MappingProxyType({})
        self.removed: Mapping[str, str] = MappingProxyType({})

    @property
    def listed(self) -> Mapping[str, KeptSecret]:
        """All secrets by name."""
        return self._kept

    @property
    def were_given(self) -> bool:
        """Whether the sandbox may have got any."""
        return bool(self.variables or self.removed)

    @property
    def of_account(self) -> dict[str, str]:
        """The names of the account's secrets, by the variables that stand for them."""
        named = {name: each.account_name for name, each in self._kept.items()}
        return {name: account_name for name, account_name in named.items() if account_name is not None}

    def keep(self, name: str, value: str, source: str) -> KeptSecret:
        """Keep a secret in place of any with this name, and mask its value in outputs from now on."""
        return self._keep(name, KeptSecret(value, source, known_secrets.add_given(value)))

    def keep_placeholder(self, name: str, placeholder: str, account_name: str) -> None:
        """Keep what stands for a secret of the account, in place of any secret with this name."""
        self._keep(name, KeptSecret(placeholder, f"the account: {account_name}", False, account_name))

    def _keep(self, name: str, secret: KeptSecret) -> KeptSecret:
        self._kept[name] = secret
        self._renew({each: text for each, text in self.removed.items() if each != name})
        return secret

    def forget(self, name: str) -> bool:
        """Forget a secret; return whether there was one. Outputs that have its value stay masked."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._renew({**self.removed, name: kept.value})
        return kept is not None

    def leave(self) -> str:
        """Forget all secrets, because the kernel moves to a sandbox of others; return a sentence, or ""."""
        names = ", ".join(self._kept)
        self._kept.clear()
        self._renew({})
        if not names:
            return ""
        return f"This sandbox does not get your secrets ({names}): %secret NAME gives it one."

    def _renew(self, removed: Mapping[str, str]) -> None:
        self.variables = MappingProxyType({name: each.value for name, each in self._kept.items()})
        self.removed = MappingProxyType(removed)
