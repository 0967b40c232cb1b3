"""The embedded server's process: its state directory, its signals and its leases."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import secrets
import signal
import sys
from typing import TYPE_CHECKING

from ..wire import routes
from .app import Server
from .box.bubblewrap import Trial
from .box.isolation import ISOLATION_VARIABLE, ISOLATIONS
from .box.network import NETWORK_VARIABLE, choose_network
from .box.orphans import become_subreaper
from .lease import LeaseHandler, Leases
from .state_directory import StateDirectory, remove_abandoned
from .watchdog import watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from .box.bubblewrap import Bubblewrap
    from .box.network import Network
    from .limits import Timings


def run_embedded(trial: Trial | None, timings: Timings) -> int:
    """Serve the process that started this one, as long as there is a lease. Return the exit status.

    One line of JSON on stdout says where the server listens. If it cannot start, one sentence on stderr
    says why.
    """
    wanted = os.environ.get(ISOLATION_VARIABLE) or "auto"
    try:
        isolation, note = choose_isolation(wanted, trial)
    except ValueError as error:
        print(f"{ISOLATION_VARIABLE}={wanted} is not valid; {error}", file=sys.stderr)
        return 1
    except RuntimeError as error:
        print(f"{ISOLATION_VARIABLE}={wanted} does not work here: {error}", file=sys.stderr)
        return 1
    directory = StateDirectory.temporary()
    try:
        asyncio.run(_serve_leases(directory, isolation, note, timings))
    finally:
        directory.remove(whole=True)
    return 0


async def _serve_leases(
    directory: StateDirectory, isolation: Bubblewrap | None, note: str, timings: Timings
) -> None:
    name = "none" if isolation is None else "bubblewrap"
    leases = Leases({"isolation": name, "note": note}, timings)
    key = secrets.token_urlsafe(32)
    lease_route = (routes.LEASE, LeaseHandler, {"leases": leases})
    server = Server(directory.sandboxes, key, isolation, timings, extra_routes=[lease_route])
    server.listen("127.0.0.1", 0)
    about = {"api_url": server.url, "api_key": key, "pid": os.getpid(), "isolation": name, "note": note}
    announce_and_detach(directory, about)
    on_signals(leases.end)
    become_subreaper()
    raise_descriptor_limit()
    server.sandboxes.work_ahead()
    cleaning = asyncio.create_task(asyncio.to_thread(remove_abandoned))
    with watchdog(timings.stuck):
        await leases.ended
        await server.close()
        await cleaning


def choose_isolation(wanted: str, trial: Trial | None = None) -> tuple[Bubblewrap | None, str]:
    """Return the isolation of the sandboxes, and a note for the person: one sentence, or nothing.

    `wanted` is `auto`, `bubblewrap` or `none`; anything else raises `ValueError`. If bubblewrap is wanted
    and does not work, it raises `RuntimeError`.
    """
    if wanted not in ISOLATIONS:
        raise ValueError(f"use {', '.join(ISOLATIONS[:-1])} or {ISOLATIONS[-1]}")
    reason = "isolation is switched off"
    if wanted != "none":
        trial = trial or Trial(choose_network(os.environ.get(NETWORK_VARIABLE) or "auto"))
        failure = trial.failure()
        if failure is None:
            return trial.bubblewrap, _network_note(trial.bubblewrap.network)
        reason = failure
    if wanted == "bubblewrap":
        raise RuntimeError(reason)
    return None, f"Sandboxes are not isolated from this machine and its files: {reason}."


def _network_note(network: Network) -> str:
    if network.kind == "host":
        return (
            f"Sandboxes use this machine's network, with the servers that listen on its loopback, because "
            f"{NETWORK_VARIABLE}=host is set."
        )
    if network.reason:
        return (
            f"Sandboxes have no network, so pip and the like cannot load anything: {network.reason}. "
            f"{NETWORK_VARIABLE}=host gives them this machine's network, with the servers on its loopback."
        )
    return ""


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
