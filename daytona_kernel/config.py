"""The settings of the client, each with its source.

An argument takes precedence over an environment variable, that over the user's file, and that over the
default. A person sees at most the last four characters of a secret.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from . import known_secrets
from .errors import DaytonaAuthenticationError, DaytonaBadRequestError
from .known_secrets import mask, passwords_in, without_credentials
from .settings import logins
from .settings.account import ACCOUNT
from .settings.resolution import process_settings
from .settings.table import TABLE
from .wait_limit import limited

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from .settings.logins import Login
    from .settings.resolution import Found

DEFAULT_API_URL = "https://app.daytona.io/api"
DEFAULT_REQUEST_TIMEOUT = limited(60.0)
_HEADER_VALUE = re.compile(r"[!-~]+")  # visible ASCII
_URL = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
# Daytona's second API is at these hosts. Its routes are others; docs/daytona-v2.md lists them.
_SECOND_API = re.compile(r"https?://([^/?#\s]*@)?api\.([\w-]+\.)*daytona\.com\.?([:/?#]|$)", re.IGNORECASE)
_SENT_IN_HEADERS = ("api_key", "jwt_token", "organization_id")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its value, None for none, and its source.

    source: "argument", the name of an environment variable, "user's file", or "default".
    """

    name: str
    value: str | None
    source: str

    @property
    def shown(self) -> str:
        """The value for a person: secrets and passwords in URLs are masked, and None is "not set"."""
        if self.value is None:
            return "not set"
        return mask(self.value) if TABLE[self.name].private else without_credentials(self.value)

    def __repr__(self) -> str:
        return f"Setting({self.name!r}, {self.shown!r}, {self.source!r})"


@dataclass(frozen=True, slots=True)
class DaytonaConfig:
    """The settings that a program passes to a client; None takes one from the environment.

    api_key: the account's API key (DAYTONA_API_KEY).
    api_url: the API's URL (DAYTONA_API_URL); with a key, the default is https://app.daytona.io/api.
    target: the region for new sandboxes (DAYTONA_TARGET); the default is the organization's.
    jwt_token, organization_id: a token instead of the key, and its organization
        (DAYTONA_JWT_TOKEN, DAYTONA_ORGANIZATION_ID).
    request_timeout: seconds to wait for an answer unless a method sets another timeout; None waits
        forever. Methods that run a command wait as long as the command takes.
    verify: as in httpx: True for the system's authorities and SSL_CERT_FILE or SSL_CERT_DIR, False
        to accept any certificate, or an ssl.SSLContext.
    """

    api_key: str | None = field(default=None, repr=False)
    api_url: str | None = None
    target: str | None = None
    jwt_token: str | None = field(default=None, repr=False)
    organization_id: str | None = None
    request_timeout: float | None = DEFAULT_REQUEST_TIMEOUT
    verify: ssl.SSLContext | bool = True

    def __repr__(self) -> str:
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        if self.api_url is not None:
            shown["api_url"] = without_credentials(self.api_url)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. The embedded server is used if the value of `api_url` is None."""

    api_key: Setting
    api_url: Setting
    target: Setting
    jwt_token: Setting
    organization_id: Setting

    @property
    def embedded(self) -> bool:
        """Whether the embedded server is used, because no setting names another server."""
        return self.api_url.value is None

    @property
    def authorization(self) -> dict[str, str]:
        """The headers that authorize requests."""
        headers = {"Authorization": f"Bearer {self.api_key.value or self.jwt_token.value}"}
        if self.api_key.value is None and self.organization_id.value is not None:
            headers["X-Daytona-Organization-ID"] = self.organization_id.value
        return headers


def resolve(config: DaytonaConfig | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings in force: arguments first, then the environment, the user's file, and defaults.

    Without a key and a URL, the embedded server is used. White space around a value is removed, because
    it comes from files and clipboards. Raises DaytonaAuthenticationError if a URL is set without a key, a
    token without its organization, or if a key, token or organization cannot be sent; DaytonaBadRequestError
    for a URL without a scheme or a host, or of Daytona's API v2; and SettingError for a wrong setting in the
    environment or the file.
    """
    arguments = config or DaytonaConfig()
    found = process_settings([*ACCOUNT, TABLE["target"]], environ)

    def setting(name: str, argument: str | None) -> Setting:
        if argument and (value := argument.strip()):
            given = Setting(name, value, "argument")
        elif name in found:
            given = Setting(name, found[name].value, found[name].source)
        else:
            return Setting(name, None, "default")
        _require_header_value(given)
        _require_url(given)
        return given

    api_key = setting("api_key", arguments.api_key)
    jwt_token = setting("jwt_token", arguments.jwt_token)
    if arguments.jwt_token and not arguments.api_key:
        # A token as an argument takes precedence over a key in the environment.
        api_key = Setting("api_key", None, "default")
    api_url = setting("api_url", arguments.api_url)
    organization_id = setting("organization_id", arguments.organization_id)
    if not api_key.value and not jwt_token.value and (login := _find_login(found, environ)) is not None:
        api_key, jwt_token, organization_id = (
            Setting(name, getattr(login, name), login.source)
            for name in ("api_key", "jwt_token", "organization_id")
        )
        for each in (api_key, jwt_token, organization_id):
            if each.value is not None:
                _require_header_value(each)
        api_url = _url_of(login, api_url)
    credentials = api_key.value or jwt_token.value
    if credentials and api_url.value is None:
        api_url = Setting("api_url", DEFAULT_API_URL, "default")
    settings = Settings(api_key, api_url, setting("target", arguments.target), jwt_token, organization_id)
    _require_complete(settings)
    known_secrets.add(api_key.value, jwt_token.value, *passwords_in(api_url.value or ""))
    return settings


def _require_complete(settings: Settings) -> None:
    """Refuse a URL without a key, and a token without its organization."""
    api_url, has_key = settings.api_url, settings.api_key.value is not None
    if api_url.value is not None and not (has_key or settings.jwt_token.value):
        raise DaytonaAuthenticationError(
            f"{_name(api_url)} is {api_url.shown}, but no API key is set: run `daytona-kernel login` or set "
            "DAYTONA_API_KEY, or unset the URL to use the embedded server."
        )
    if not has_key and settings.jwt_token.value is not None and settings.organization_id.value is None:
        raise DaytonaAuthenticationError(
            "DAYTONA_JWT_TOKEN is set without DAYTONA_ORGANIZATION_ID. Set both, because a token can be "
            "valid for several organizations."
        )


def _find_login(found: Mapping[str, Found], environ: Mapping[str, str]) -> Login | None:
    folders = found["dotenv_folders"].value if "dotenv_folders" in found else ""
    use_cli = found["cli_login"].value if "cli_login" in found else True
    return logins.find(folders, use_cli=use_cli, environ=environ)


def _url_of(login: Login, own: Setting) -> Setting:
    """Return the URL for a login. Its key never goes to a server that it is not for.

    own: the person's own URL. Raises DaytonaAuthenticationError if that is another one.
    """
    used = own.value or login.api_url or DEFAULT_API_URL
    meant = login.api_url or login.excluded_url or used
    if _comparable(used) != _comparable(meant):
        stated = f"{_name(own)} is {own.shown}" if own.value is not None else f"no setting names {meant}"
        raise DaytonaAuthenticationError(
            f"The key of {login.source} is for {without_credentials(meant)}, but {stated}. The key was "
            "not sent. Set api_url to the server that you mean, and log in there with `daytona-kernel login`."
        )
    setting = own if own.value is not None else Setting("api_url", used, login.source)
    _require_url(setting)
    return setting


def _comparable(url: str) -> str:
    return url.rstrip("/").lower()


def _require_header_value(setting: Setting) -> None:
    """Refuse a value that no header can carry. The message does not contain the value."""
    if setting.name in _SENT_IN_HEADERS and not _HEADER_VALUE.fullmatch(setting.value or ""):
        raise DaytonaAuthenticationError(
            f"{_name(setting)} contains a character that cannot be sent, such as a space, a line break or a "
            "letter with an accent. Nothing was sent. Copy the value again."
        )


def _require_url(setting: Setting) -> None:
    """Refuse an API URL to which no request can be sent, or whose API has other routes."""
    if setting.name != "api_url":
        return
    if _SECOND_API.match(setting.value or ""):
        raise DaytonaBadRequestError(
            f"{_name(setting)} is {setting.shown}, Daytona's API v2, and daytona-kernel uses the API at "
            f"{DEFAULT_API_URL}. Nothing was sent. Unset the URL to use that API."
        )
    if not _URL.match(setting.value or ""):
        raise DaytonaBadRequestError(
            f"{_name(setting)} is {setting.shown}, which is not a URL: it must start with https:// or "
            f"http:// and a host, for example {DEFAULT_API_URL}. Nothing was sent."
        )


def _name(setting: Setting) -> str:
    if setting.source == "argument":
        return setting.name
    is_variable = setting.source == TABLE[setting.name].variable
    return setting.source if is_variable else f"{setting.name} ({setting.source})"
