"""Settings, and where each comes from.

A setting is an argument, else an environment variable, else its default, and remembers which.
Secrets are shown by their last four characters at most.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import DaytonaAuthenticationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

DEFAULT_API_URL = "https://app.daytona.io/api"
DEFAULT_REQUEST_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its value, and "argument", an environment variable's name, or "default" as its source."""

    name: str
    value: str | None
    source: str
    secret: bool = False

    @property
    def shown(self) -> str:
        """The value as a person may see it: a secret is masked, None is "not set"."""
        if self.value is None:
            return "not set"
        return mask(self.value) if self.secret else self.value

    def __repr__(self) -> str:
        return f"Setting({self.name!r}, {self.shown!r}, {self.source!r})"


@dataclass(frozen=True, slots=True)
class DaytonaConfig:
    """How to reach Daytona. What is None comes from the environment; see `resolve`.

    api_key: the key of the account (DAYTONA_API_KEY).
    api_url: where the API is (DAYTONA_API_URL); https://app.daytona.io/api for an account.
    target: the region for new sandboxes (DAYTONA_TARGET); None leaves it to the organization.
    jwt_token, organization_id: a token in the place of the key, and whose it is
        (DAYTONA_JWT_TOKEN, DAYTONA_ORGANIZATION_ID).
    request_timeout: seconds to wait for an answer, where a call does not say otherwise; None waits
        for ever. Calls that run a command wait as long as the command takes.
    verify: as httpx takes it: True for the system's authorities and SSL_CERT_FILE / SSL_CERT_DIR,
        False for none, or an ssl.SSLContext.
    """

    api_key: str | None = field(default=None, repr=False)
    api_url: str | None = None
    target: str | None = None
    jwt_token: str | None = field(default=None, repr=False)
    organization_id: str | None = None
    request_timeout: float | None = DEFAULT_REQUEST_TIMEOUT
    verify: ssl.SSLContext | bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. `api_url` None means the embedded server."""

    api_key: Setting
    api_url: Setting
    target: Setting
    jwt_token: Setting
    organization_id: Setting

    @property
    def embedded(self) -> bool:
        """Whether sandboxes come from the embedded server, since nothing names another one."""
        return self.api_url.value is None

    @property
    def authorization(self) -> dict[str, str]:
        """The headers that say who asks."""
        headers = {"Authorization": f"Bearer {self.api_key.value or self.jwt_token.value}"}
        if self.api_key.value is None and self.organization_id.value is not None:
            headers["X-Daytona-Organization-ID"] = self.organization_id.value
        return headers


def resolve(config: DaytonaConfig | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings in force: arguments first, then the environment, then defaults.

    Neither key nor URL means the embedded server. Raises DaytonaAuthenticationError when a URL is
    set without a key, or a token without its organization.
    """
    given = config or DaytonaConfig()

    def setting(name: str, argument: str | None, *, secret: bool = False) -> Setting:
        variable = f"DAYTONA_{name.upper()}"
        if argument:
            return Setting(name, argument, "argument", secret)
        if environ.get(variable):
            return Setting(name, environ[variable], variable, secret)
        return Setting(name, None, "default", secret)

    api_key = setting("api_key", given.api_key, secret=True)
    jwt_token = setting("jwt_token", given.jwt_token, secret=True)
    if given.jwt_token and not given.api_key:
        # A token given in words goes before a key that lies about in the environment.
        api_key = Setting("api_key", None, "default", secret=True)
    api_url = setting("api_url", given.api_url)
    organization_id = setting("organization_id", given.organization_id)
    credentials = api_key.value or jwt_token.value
    if credentials and api_url.value is None:
        api_url = Setting("api_url", DEFAULT_API_URL, "default")
    if api_url.value is not None and not credentials:
        raise DaytonaAuthenticationError(
            f"{_named(api_url)} is {api_url.value}, but there is no API key for it: set DAYTONA_API_KEY, "
            "or unset the URL to use the embedded server."
        )
    if api_key.value is None and jwt_token.value is not None and organization_id.value is None:
        raise DaytonaAuthenticationError(
            "DAYTONA_JWT_TOKEN needs DAYTONA_ORGANIZATION_ID beside it, since a token can belong to several."
        )
    return Settings(api_key, api_url, setting("target", given.target), jwt_token, organization_id)


def mask(secret: str) -> str:
    """Return a secret as a person may see it."""
    return f"…{secret[-4:]}" if len(secret) >= 16 else "…"


def _named(setting: Setting) -> str:
    return setting.name if setting.source == "argument" else setting.source
