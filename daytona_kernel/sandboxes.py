"""`daytona-kernel sandboxes`: list or delete the sandboxes that kernels created at Daytona."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .client.daytona import Daytona
from .client.labels import HOST_LABEL, LABEL, NOTEBOOK_LABEL
from .client.models.sandboxes import ListSandboxesQuery
from .config import resolve
from .errors import DaytonaError, DaytonaNotFoundError
from .formatting import format_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client.sandbox import Sandbox

_EMBEDDED = (
    "No DAYTONA_API_KEY is set. Sandboxes of the embedded server are deleted with their kernels, "
    "so there is nothing to list."
)
_COLUMNS = ("ID", "NAME", "STATE", "NOTEBOOK", "HOST", "LAST ACTIVITY")


def run(delete: Sequence[str] = ()) -> int:
    """Print the sandboxes that kernels created, or delete some by id or name; return the exit status.

    delete: ids or names; empty to print the list.
    """
    try:
        if resolve().embedded:
            print(_EMBEDDED)
            return 0
        with Daytona() as daytona:
            if delete:
                return max([_delete(daytona, each) for each in delete])  # a list, to try them all
            rows = [_row(each) for each in daytona.list(ListSandboxesQuery(labels={LABEL: "python"}))]
            print(format_columns([_COLUMNS, *rows]) if rows else "No sandboxes of kernels found.")
    except DaytonaError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def _delete(daytona: Daytona, id_or_name: str) -> int:
    try:
        sandbox = daytona.get(id_or_name)
        if LABEL not in sandbox.labels:
            print(f"Sandbox {id_or_name} was not deleted, because no kernel created it.", file=sys.stderr)
            return 1
        sandbox.delete()
    except DaytonaNotFoundError:
        print(f"There is no sandbox {id_or_name}.", file=sys.stderr)
        return 1
    print(f"Deleted sandbox {id_or_name}.")
    return 0


def _row(sandbox: Sandbox) -> tuple[str, ...]:
    labels = sandbox.labels
    activity = (sandbox.instance.last_activity_at or "").partition(".")[0].replace("T", " ")
    return (
        sandbox.id,
        sandbox.name,
        sandbox.state,
        labels.get(NOTEBOOK_LABEL, ""),
        labels.get(HOST_LABEL, ""),
        activity,
    )
