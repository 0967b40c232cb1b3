"""The embedded server's process: its state directory, its signals and its leases."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import secrets
import signal
import sys
from typing import TYPE_CHECKING

from ..wire import routes
from ..wire.conventions import ISOLATION_VARIABLE
from .app import Server
from .box.control_group import ControlGroups
from .box.folder_mount import FolderMount
from .box.orphans import become_subreaper
from .box.snapshots import snapshots_of_environment
from .isolation import IsolationError, bound_sandboxes, choose_isolation, mount_folder
from .lease import LeaseHandler, Leases
from .state_directory import StateDirectory, remove_abandoned
from .watchdog import watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .box.bubblewrap import Trial
    from .isolation import Choice
    from .limits import Timings
    from .toolbox.profile import Profile


def run_embedded(
    trial: Trial | None, timings: Timings, profile: Profile, mount: tuple[str, str] | None = None
) -> int:
    """Serve the process that started this one, as long as there is a lease. Return the exit status.

    `mount` is the mode and the path of a folder that all sandboxes have.

    One line of JSON on stdout says where the server listens, or that sandboxes cannot be isolated. If it
    cannot start for another reason, one sentence on stderr says why.
    """
    wanted = os.environ.get(ISOLATION_VARIABLE) or "auto"
    try:
        snapshots = snapshots_of_environment(os.environ)
        folder = None if mount is None else FolderMount(*mount)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    directory = StateDirectory.temporary()
    try:
        choice = _choose(wanted, trial, folder, ControlGroups(directory.groups))
        if choice is None:
            return 1
        asyncio.run(_serve_leases(directory, choice, timings, snapshots, profile))
    finally:
        directory.remove(whole=True)
    return 0


def _choose(
    wanted: str, trial: Trial | None, folder: FolderMount | None, groups: ControlGroups
) -> Choice | None:
    """Return the isolation of the sandboxes. Print why there is none, and return `None` then."""
    try:
        choice = choose_isolation(wanted, trial)
        mount_folder(choice, folder)
    except ValueError as error:
        print(f"{ISOLATION_VARIABLE}={wanted} is not valid; {error}", file=sys.stderr)
        return None
    except IsolationError as error:
        print(json.dumps({"isolation_failure": str(error), "by_machine": error.by_machine}), flush=True)
        return None
    finally:
        groups.failure()  # they must not be made while the state directory is removed
    return bound_sandboxes(choice, groups)


async def _serve_leases(
    directory: StateDirectory,
    choice: Choice,
    timings: Timings,
    snapshots: Mapping[str, str],
    profile: Profile,
) -> None:
    leases = Leases({**choice.about, "pid": str(os.getpid())}, timings)
    key = secrets.token_urlsafe(32)
    lease_route = (routes.LEASE, LeaseHandler, {"leases": leases})
    isolation = choice.isolation
    server = Server(
        directory.sandboxes, key, isolation, timings, snapshots, profile, extra_routes=[lease_route]
    )
    server.listen("127.0.0.1", 0)
    about = {"api_url": server.url, "api_key": key, "pid": os.getpid(), **choice.about}
    announce_and_detach(directory, about)
    gc.freeze()
    gc.enable()
    on_signals(leases.end)
    become_subreaper()
    raise_descriptor_limit()
    server.sandboxes.work_ahead()
    cleaning = asyncio.create_task(asyncio.to_thread(remove_abandoned))
    with watchdog(timings.stuck):
        await leases.ended
        await server.close()
        await cleaning


def announce_and_detach(directory: StateDirectory, about: dict[str, object]) -> None:
    """Write `about` to stdout as one line of JSON, then close the starter's streams.

    Later output goes to a log in the state directory.
    """
    sys.stdout.write(json.dumps(about) + "\n")
    sys.stdout.flush()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(directory.path / "server.log", flags, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for target, source in enumerate((null, log, log)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)


def raise_descriptor_limit() -> None:
    """Allow as many open descriptors as the system does: each follower and each command needs some."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def on_signals(end: Callable[[], None]) -> None:
    """Run `end` at SIGINT and SIGTERM, in the running loop."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, end)
