"""`daytona-kernel sandboxes`: list, pause, stop or delete the sandboxes that kernels created at Daytona."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from . import sandbox_facts
from .client.daytona import Daytona
from .client.labels import KERNEL_LABEL, LABEL
from .client.models.sandboxes import ListSandboxesQuery
from .config import resolve
from .errors import DaytonaError, DaytonaNotFoundError
from .formatting import format_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from .client.sandbox import Sandbox

_EMBEDDED = (
    "No DAYTONA_API_KEY is set. Sandboxes of the embedded server are deleted with their kernels, "
    "so there is nothing to list."
)
# Seconds after which a sandbox appears whose creation got no answer, if it appears late.
_LATE_SECONDS = 15.0
_COLUMNS = ("ID", "NAME", "STATE", "WHOSE", "CREATED", "IDLE FOR")


# For each change, what is done and the word for what was done.
_CHANGES: dict[str, tuple[Callable[[Sandbox], None], str]] = {
    "delete": (lambda sandbox: sandbox.delete(), "deleted"),
    "stop": (lambda sandbox: sandbox.stop(), "stopped"),
    "pause": (lambda sandbox: sandbox.pause(), "paused"),
}


def run(change: str = "", sandboxes: Sequence[str] = ()) -> int:
    """Print the sandboxes that kernels created, or change some of them; return the exit status.

    change: "delete", "stop" or "pause"; "" to print the list. sandboxes: ids or names.
    """
    try:
        if resolve().embedded:
            print(_EMBEDDED)
            return 0
        with Daytona() as daytona:
            if change:
                return max([_change(daytona, change, each) for each in sandboxes])  # a list, to try them all
            host = socket.gethostname()
            rows = [_row(each, host) for each in daytona.list(ListSandboxesQuery(labels={LABEL: "python"}))]
            print(format_columns([_COLUMNS, *rows]) if rows else "No sandboxes of kernels found.")
    except DaytonaError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def delete_lost(kernel: str, known: Collection[str]) -> int:
    """Delete the sandboxes whose creation a kernel had given up; return the exit status.

    kernel: the value of the kernel's label. known: the ids of its other sandboxes.
    """
    try:
        with Daytona() as daytona:
            for seconds in (0.0, _LATE_SECONDS):
                time.sleep(seconds)
                for sandbox in daytona.list(ListSandboxesQuery(labels={KERNEL_LABEL: kernel})):
                    if sandbox.id not in known:
                        with suppress(DaytonaNotFoundError):
                            sandbox.delete()
    except DaytonaError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def _change(daytona: Daytona, change: str, id_or_name: str) -> int:
    do, done = _CHANGES[change]
    try:
        sandbox = daytona.get(id_or_name)
        if LABEL not in sandbox.labels:
            print(f"Sandbox {id_or_name} was not {done}, because no kernel created it.", file=sys.stderr)
            return 1
        do(sandbox)
    except DaytonaNotFoundError as error:
        message = f"There is no sandbox {id_or_name}." if error.by_daytona else error.message
        print(message, file=sys.stderr)
        return 1
    except DaytonaError as error:
        print(f"Sandbox {id_or_name} was not {done}: {error.message}", file=sys.stderr)
        return 1
    print(f"{done.capitalize()} sandbox {id_or_name}.")
    return 0


def _row(sandbox: Sandbox, host: str) -> tuple[str, ...]:
    about = sandbox.instance
    return (
        sandbox.id,
        sandbox_facts.shown(sandbox.name),
        sandbox.state,
        sandbox_facts.whose(sandbox.labels, host),
        sandbox_facts.age(about),
        sandbox_facts.idle(about),
    )
