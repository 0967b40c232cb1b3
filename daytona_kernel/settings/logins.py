"""The logins of the person: an API key or a token, kept in a file or a keyring, with the URL that it is for.

There are three: that of `daytona-kernel login`, a `.env` file of a folder that the person trusts, and that of
Daytona's own command line. A key is sent to the URL that is stored with it, and to no other. A `.env` file
names no URL, because a folder may be a stranger's; its key goes to the person's own URL.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaAuthenticationError
from . import user_file
from .private_file import UnusableFileError, read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "daytona_kernel_login.json"
COMMAND = "daytona-kernel login"
CLI = "Daytona's command line"
_DOTENV = (".env.local", ".env")  # the first comes first, as in Daytona's SDK
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(DAYTONA_\w+)[ \t]*=[ \t]*("[^"\n]*"|'[^'\n]*'|[^#\n]*)""", re.MULTILINE
)


@dataclass(frozen=True)
class Login:
    """A key, or a token with its organization, and where it comes from.

    api_url: the URL that it is for; None for the person's own. excluded_url: a URL that its file names, but
        that is not taken from there; None for none.
    """

    source: str
    api_key: str | None = field(default=None, repr=False)
    jwt_token: str | None = field(default=None, repr=False)
    organization_id: str | None = None
    api_url: str | None = None
    excluded_url: str | None = None


def find(folders: str, *, use_cli: bool, environ: Mapping[str, str] = os.environ) -> Login | None:
    """Return the first login that there is, or None. Raises DaytonaAuthenticationError if it is unusable.

    folders: the folders whose `.env` files are trusted, with `:` between them.
    use_cli: whether the login of Daytona's command line counts.
    """
    trusted = dotenv_file(folders)
    login = None if trusted is None else read_dotenv(trusted)
    login = login or _read_own(environ)
    return login or (_read_cli(environ) if use_cli else None)


def path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the path of the login's file, beside the settings; None if there is no such folder."""
    settings = user_file.path(environ)
    return None if settings is None else settings.with_name(NAME)


def keep(file: Path, api_url: str, api_key: str) -> str:
    """Keep a login, and return where the key is now, for a person. Raises OSError."""
    from . import keyring

    in_keyring = keyring.keep(api_url, api_key)
    content = {"api_url": api_url, **({"keyring": True} if in_keyring else {"api_key": api_key})}
    write_text(file, json.dumps(content, indent=2) + "\n")
    return "your keyring" if in_keyring else f"{file}, which only you can read"


def remove(file: Path) -> bool:
    """Remove the login, and return whether there was one. Raises OSError and DaytonaAuthenticationError."""
    text = _read(file)
    if text is None:
        return False
    content = _parse(text)
    if content.get("keyring"):
        from . import keyring

        keyring.remove(str(content.get("api_url")))
    file.unlink()
    return True


def dotenv_file(folders: str) -> Path | None:
    """Return the `.env` file of the current folder that has a key, if the folder is in `folders`, or None."""
    trusted = [Path(each).expanduser() for each in folders.split(os.pathsep) if each]
    here = Path.cwd().resolve()
    if not any(each.is_absolute() and here.is_relative_to(each.resolve()) for each in trusted):
        return None
    return present_dotenv()


def present_dotenv() -> Path | None:
    """Return the `.env` file of the current folder that has a key, whether it is trusted or not; or None."""
    for name in _DOTENV:
        try:
            if read_dotenv(Path.cwd() / name) is not None:
                return Path.cwd() / name
        except DaytonaAuthenticationError:
            continue
    return None


def read_dotenv(file: Path) -> Login | None:
    """Return the login in a `.env` file, or None. Raises DaytonaAuthenticationError if it is unreadable."""
    found = {name: text.strip().strip("\"'") for name, text in _LINE.findall(_read(file) or "")}
    key, token = found.get("DAYTONA_API_KEY"), found.get("DAYTONA_JWT_TOKEN")
    if not key and not token:
        return None
    organization, url = found.get("DAYTONA_ORGANIZATION_ID"), found.get("DAYTONA_API_URL")
    return Login(str(file), key or None, None if key else token, organization, None, url or None)


def _read_own(environ: Mapping[str, str]) -> Login | None:
    file = path(environ)
    text = None if file is None else _read(file)
    if text is None:
        return None
    content = _parse(text)
    api_url = content.get("api_url")
    if not isinstance(api_url, str):
        raise _unusable(f"{file} names no api_url")
    key = content.get("api_key")
    if content.get("keyring"):
        from . import keyring  # a kernel without one does not wait for this import

        key = keyring.read(api_url)
    if not isinstance(key, str) or not key:
        raise _unusable(f"{file} has no key")
    return Login(COMMAND, key, api_url=api_url)


def _read_cli(environ: Mapping[str, str]) -> Login | None:
    """Return the active profile of Daytona's command line, or None."""
    base = environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    folder = environ.get("DAYTONA_CONFIG_DIR") or Path(base) / "daytona"
    text = _read(Path(folder) / "config.json")
    if text is None:
        return None
    content = _parse(text)
    try:
        active = [each for each in content["profiles"] if each["id"] == content["activeProfile"]]
        api = active[0]["api"]
        url, key, token = str(api["url"]), api.get("key"), api.get("token") or {}
        organization = active[0].get("activeOrganizationId")
        if key:
            return Login(CLI, str(key), api_url=url)
        if not token:
            return None
        access, expiry = str(token["accessToken"]), str(token["expiresAt"])
    except (LookupError, TypeError, AttributeError):
        return None  # nobody is logged in there, or it is another version's file
    if _is_past(expiry):
        raise DaytonaAuthenticationError(
            f"The login of {CLI} has expired. Log in again with `daytona login`, log in here with "
            f"`{COMMAND}`, or run `daytona-kernel config set cli_login no` to go on without it."
        )
    return Login(CLI, None, access, None if organization is None else str(organization), url)


def _is_past(moment: str) -> bool:
    """Return whether a time in RFC 3339 is over. Go writes more digits than Python reads."""
    from datetime import UTC, datetime

    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", moment)) < datetime.now(UTC)
    except (ValueError, TypeError):
        return False  # the server knows


def _read(file: Path) -> str | None:
    try:
        return read_text(file)
    except UnusableFileError as error:
        raise _unusable(f"{file}: {error.problem}") from None


def _parse(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}


def _unusable(what: str) -> DaytonaAuthenticationError:
    return DaytonaAuthenticationError(
        f"{what}, so the login in it cannot be used. No key was sent. Run `{COMMAND}` to log in again."
    )
