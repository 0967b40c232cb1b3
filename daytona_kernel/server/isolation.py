"""The choice of isolation for the sandboxes of a server, and what a person is told about it.

Bubblewrap is the first way and Landlock the second. Nothing runs without isolation unless the person allows
it. A machine where neither works is a failure, and the message says what to do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..wire.conventions import ISOLATION_VARIABLE, NETWORK_VARIABLE
from . import limits
from .box import landlock
from .box.bubblewrap import Bubblewrap, Trial
from .box.isolation import ISOLATIONS
from .box.network import Network, choose_network

if TYPE_CHECKING:
    from .box.control_group import ControlGroups
    from .box.folder_mount import FolderMount
    from .box.isolation import Isolation

_ON_REQUEST = (
    f"{ISOLATION_VARIABLE}=none runs code without isolation: then it can read and change your files."
)


class IsolationError(Exception):
    """Sandboxes cannot be isolated here. `by_machine`: the cause remains until the machine changes."""

    def __init__(self, message: str, *, by_machine: bool) -> None:
        super().__init__(message)
        self.by_machine = by_machine


@dataclass(frozen=True, slots=True)
class Choice:
    """The isolation of a server's sandboxes and its name; `None` for none.

    `note` is for everybody who asks where code runs. `warning` is for the first cell of a kernel. Both are
    sentences, or empty. `bounds` says how much of this machine a sandbox can use, and `unbounded` why nothing
    bounds all of its processes together, as a clause.
    """

    name: str
    isolation: Isolation | None
    note: str = ""
    warning: str = ""
    unbounded: str = ""

    @property
    def bounds(self) -> str:
        """Sentences about the memory, the processes and the disk of a sandbox."""
        if self.isolation is None:
            return "Nothing bounds the memory, the processes and the disk that a sandbox uses."
        size = f"write files of up to {limits.RESOURCE_LIMITS['FSIZE'] // limits.GIB} GiB"
        groups = self.isolation.groups
        if groups is not None:
            cores = " and its cores" if groups.bound_cores else ""
            return (
                f"All processes of a sandbox together may use its memory{cores}, and have up to "
                f"{limits.RESOURCE_LIMITS['NPROC']} threads. Each may {size}, and together they can fill "
                "this machine's disk."
            )
        because = f", because {self.unbounded}" if self.unbounded else ""
        return (
            f"Each process may use the sandbox's memory, and {size}. All processes of a sandbox together "
            f"have no such bound{because}: they can fill this machine's memory and disk."
        )

    @property
    def about(self) -> dict[str, str]:
        """The description for clients."""
        return {"isolation": self.name, "note": self.note, "warning": self.warning, "bounds": self.bounds}


def choose_isolation(wanted: str, trial: Trial | None = None) -> Choice:
    """Return the isolation of the sandboxes.

    `wanted` is one of `ISOLATIONS`; anything else raises `ValueError`. Raises `IsolationError` if there is no
    isolation here of the wanted kind, unless it is only preferred.
    """
    if wanted not in ISOLATIONS:
        raise ValueError(f"use {', '.join(ISOLATIONS[:-1])} or {ISOLATIONS[-1]}")
    if wanted == "none":
        return _unisolated(f"{ISOLATION_VARIABLE}=none is set")
    network = os.environ.get(NETWORK_VARIABLE) or "auto"
    if wanted == "landlock":
        return _confined(network, f"{ISOLATION_VARIABLE}=landlock is set")
    trial = trial or Trial(choose_network(network))
    failure = trial.failure()
    if failure is None:
        return _isolated(trial.bubblewrap)
    if failure.is_late:
        raise IsolationError(
            f"Sandboxes could not be isolated: {failure.reason}. Nothing has run. Run it again.",
            by_machine=False,
        )
    second = ""
    if wanted != "bubblewrap":
        try:
            return _confined(network, failure.reason)
        except IsolationError as error:
            second = f" {error}"
    if wanted == "preferred":
        return _unisolated(failure.reason)
    raise IsolationError(
        f"Sandboxes on this machine need bubblewrap, and {failure.reason}. Nothing has run. {failure.remedy}"
        f"{second} {_ON_REQUEST}",
        by_machine=True,
    )


def mount_folder(choice: Choice, folder: FolderMount | None) -> None:
    """Let all sandboxes have a folder of this machine. Raises `IsolationError` without bubblewrap."""
    if folder is None:
        return
    if not isinstance(choice.isolation, Bubblewrap):
        raise IsolationError(
            "A folder can be mounted only into sandboxes that bubblewrap isolates, and it isolates none "
            f"here. Nothing has run. Set project to a folder instead of {folder.mode}: then it is copied.",
            by_machine=False,
        )
    choice.isolation.folder = folder


def bound_sandboxes(choice: Choice, groups: ControlGroups) -> Choice:
    """Return the choice with control groups for isolated sandboxes, or with the reason why there are none."""
    failure = groups.failure()
    if choice.isolation is None or failure is not None:
        return replace(choice, unbounded=failure or "")
    choice.isolation.groups = groups
    return choice


def _confined(network: str, reason: str) -> Choice:
    """Return Landlock as the isolation. Raises `IsolationError` where it does not hold."""
    why_not = landlock.failure(network)
    if why_not is not None:
        raise IsolationError(
            f"Sandboxes could not be isolated with Landlock: {why_not}. Nothing has run.", by_machine=True
        )
    isolation = landlock.Landlock(network)
    reached = (
        "It shares this machine's network, and reaches the servers on its loopback."
        if isolation.network.kind == "host"
        else "It cannot reach the servers of this machine, but can listen on its ports. UDP does not work."
    )
    text = (
        f"Sandboxes are isolated with Landlock and not with bubblewrap: {reason}. Code in a sandbox cannot "
        f"open your files, but sees which files and processes there are. {reached} /tmp and "
        "multiprocessing's locks do not work."
    )
    return Choice("landlock", isolation, text, text)


def _unisolated(reason: str) -> Choice:
    text = f"Sandboxes are not isolated from this machine and its files: {reason}."
    return Choice("none", None, text, text)


def _isolated(bubblewrap: Bubblewrap) -> Choice:
    network: Network = bubblewrap.network
    if network.kind == "host":
        text = "Sandboxes share this machine's network, and reach the servers on its loopback"
        reason = network.reason or f"{NETWORK_VARIABLE}=host is set"
        return Choice("bubblewrap", bubblewrap, f"{text}: {reason}.")
    if network.reason:
        text = (
            f"Sandboxes have no network, so pip and the like cannot load anything: {network.reason}. "
            f"{NETWORK_VARIABLE}=host gives them this machine's network, with the servers on its loopback."
        )
        return Choice("bubblewrap", bubblewrap, text, text)
    return Choice("bubblewrap", bubblewrap)
