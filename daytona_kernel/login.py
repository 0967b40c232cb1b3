"""`daytona-kernel login` and `logout`: the API key, asked for, checked and kept; and removed."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from .client.daytona import Daytona
from .client.models.sandboxes import ListSandboxesQuery
from .config import DEFAULT_API_URL, DaytonaConfig
from .errors import (
    DaytonaAuthenticationError,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaForbiddenError,
    SettingError,
)
from .known_secrets import without_credentials
from .settings import logins
from .settings.resolution import value

if TYPE_CHECKING:
    from pathlib import Path

_CHECK_SECONDS = 20.0


def run(api_url: str | None) -> str:
    """Ask for a key, check it, keep it, and return a sentence about it.

    api_url: the API that the key is for; None for that of the settings, or else Daytona's.

    Raises DaytonaError if the key is refused, and OSError if it cannot be kept. Nothing is changed then.
    """
    file = _file()
    url = api_url or value("api_url") or DEFAULT_API_URL
    key = _ask(url)
    doubt = _check(url, key)
    place = logins.keep(file, url, key)
    return (
        f"The key for {without_credentials(url)} is in {place}. Kernels that start from now on use it.{doubt}"
    )


def end() -> str:
    """Remove the kept key, and return a sentence about it. Raises DaytonaError and OSError."""
    if logins.remove(_file()):
        return "The key was removed. Daytona still accepts it: delete it there, too, if nobody needs it."
    return "There is no key that `daytona-kernel login` has kept."


def _file() -> Path:
    file = logins.path()
    if file is None:
        raise SettingError("JUPYTER_NO_CONFIG is set, so there is no place for a key. Unset it to log in.")
    return file


def _ask(url: str) -> str:
    if sys.stdin.isatty():
        key = getpass.getpass(f"API key for {without_credentials(url)} (it is not shown): ")
    else:
        key = sys.stdin.readline()
    if not key.strip():
        raise SettingError("No key was given. Nothing was changed.")
    return key.strip()


def _check(url: str, key: str) -> str:
    """Ask the API about a key; return a sentence if that fails. Raises DaytonaError for a wrong key."""
    config = DaytonaConfig(api_key=key, api_url=url, request_timeout=_CHECK_SECONDS)
    try:
        with Daytona(config) as daytona:
            next(iter(daytona.list(ListSandboxesQuery(limit=1))), None)
    except DaytonaForbiddenError:
        return " But it has no permission to list sandboxes, which kernels need."
    except DaytonaAuthenticationError as error:
        raise DaytonaAuthenticationError(f"{error.message} Nothing was kept.") from None
    except DaytonaConnectionError as error:
        return f" It was not checked. {error.message}"
    except DaytonaError as error:
        raise DaytonaError(f"{error.message} Nothing was kept.") from None
    return ""
