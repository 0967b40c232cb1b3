"""A server process from start to end: its root, its signals, its leases."""

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
from .box.orphans import become_subreaper
from .lease import LeaseHandler, Leases
from .state_directory import Root, sweep

if TYPE_CHECKING:
    from collections.abc import Callable


def run_embedded(trial: Trial | None) -> int:
    """Serve whoever started us, for as long as they hold a lease; say where in one line of JSON.

    Return the exit status; what hindered it is one sentence on stderr.
    """
    wanted = os.environ.get(ISOLATION_VARIABLE) or "auto"
    try:
        if wanted not in ISOLATIONS:
            raise RuntimeError(f"it is one of {', '.join(ISOLATIONS)}")
        isolation, note = choose_isolation(wanted, trial)
    except RuntimeError as error:
        print(f"{ISOLATION_VARIABLE}={wanted} cannot be done here: {error}", file=sys.stderr)
        return 1
    root = Root.temporary()
    try:
        asyncio.run(_serve_leases(root, isolation, note))
    finally:
        root.remove(whole=True)
    return 0


async def _serve_leases(root: Root, isolation: str, note: str) -> None:
    leases = Leases({"isolation": isolation, "note": note})
    key = secrets.token_urlsafe(32)
    server = Server(
        root.sandboxes, key, isolation, extra_routes=[(routes.LEASE, LeaseHandler, {"leases": leases})]
    )
    server.listen("127.0.0.1", 0)
    detach(
        root,
        {"api_url": server.url, "api_key": key, "pid": os.getpid(), "isolation": isolation, "note": note},
    )
    on_signals(leases.end)
    become_subreaper()
    raise_descriptor_limit()
    server.sandboxes.prepare()
    sweeping = asyncio.create_task(asyncio.to_thread(sweep))
    await leases.ended
    await server.close()
    await sweeping


def choose_isolation(wanted: str, trial: Trial | None = None) -> tuple[str, str]:
    """Return what isolates the sandboxes, and one plain sentence for the person, or an empty one.

    `wanted` is `auto`, `bubblewrap` or `none`. Raises `RuntimeError` when bubblewrap is wanted and
    does not work.
    """
    why = "that was asked for" if wanted == "none" else (trial or Trial()).failure()
    if why is None:
        return "bubblewrap", ""
    if wanted == "bubblewrap":
        raise RuntimeError(why)
    return "none", f"Sandboxes are not isolated from this machine and its files: {why}."


def detach(root: Root, announcement: dict[str, object]) -> None:
    """Write the one line to stdout and let go of the starter's streams; later output is a log's."""
    sys.stdout.write(json.dumps(announcement) + "\n")
    sys.stdout.flush()
    log = os.open(root.path / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for target, source in enumerate((null, log, log)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)


def raise_descriptor_limit() -> None:
    """Allow as many open descriptors as the system lets us: each follower and each command has some."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def on_signals(end: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, end)
