"""The operations on the secrets of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DaytonaNotFoundError
from ..exchange import Exchange, Request
from ..models.secrets import AccountSecret
from ..retries import send
from . import table

if TYPE_CHECKING:
    from .sandboxes import Subject


NO_SUCH_SECRET = "NO_SUCH_SECRET"  # noqa: S105  # the code of the error


def get_secret(name: str) -> Exchange[AccountSecret]:
    """Return a secret of the account by its name; never its value.

    Raises DaytonaNotFoundError if there is none, or if the server has no secrets at all.
    """
    cursor: str | None = None
    while True:
        query = {"name": name, "limit": "200"}
        if cursor is not None:
            query["cursor"] = cursor
        page = (yield from send(Request(table.LIST_SECRETS, query=query))).json()
        for each in page.get("items") or ():
            if each.get("name") == name:
                return AccountSecret.from_json(each)
        cursor = page.get("nextCursor")
        if not cursor:
            raise DaytonaNotFoundError(f"The account has no secret {name!r}.", code=NO_SUCH_SECRET)


def update_secrets(sandbox: Subject, secrets: dict[str, str]) -> Exchange[None]:
    """Replace the account's secrets that a sandbox can use.

    secrets: the names of secrets of the account, by the variables that have their placeholders.

    Processes that start later have the variables. A sandbox that was created without any secret needs a
    restart first.
    """
    body = {"secrets": mounted(secrets)}
    yield from send(Request(table.UPDATE_SECRETS, {"sandbox_id": sandbox.instance.id}, json=body))


def mounted(secrets: dict[str, str]) -> list[dict[str, str]]:
    """Return secrets by variable, as Daytona's API has them."""
    return [{variable: name} for variable, name in secrets.items()]
