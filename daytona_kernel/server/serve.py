"""`daytona-kernel serve`: the embedded server on its own, until Ctrl-C."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .box.isolation import ISOLATIONS
from .state_directory import Root, RootInUseError, sweep

if TYPE_CHECKING:
    import argparse

_KEY_VARIABLE = "DAYTONA_KERNEL_SERVE_KEY"
_DANGER = "--i-know-this-gives-strangers-a-shell"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `serve` on `parser`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument(
        "--key",
        help="API key that clients must send (default: a new one). Other users of this machine can see "
        f"it in the list of processes; the environment variable {_KEY_VARIABLE} is safer, and "
        "'--key -' reads a line from standard input",
    )
    parser.add_argument("--root", type=Path, help="directory for the sandboxes (default: a temporary one)")
    parser.add_argument(
        "--isolation",
        choices=ISOLATIONS,
        default="auto",
        help="how sandboxes are kept apart from this machine (default: bubblewrap where it works)",
    )
    parser.add_argument(
        _DANGER,
        action="store_true",
        dest="exposed",
        help="needed with a --host that other machines can reach: whoever has the key, or sees the "
        "unencrypted traffic, can run programs on this machine",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    if not _is_loopback(args.host) and not args.exposed:
        print(
            f"{args.host} can be reached by other machines, and whoever has the key can run programs on this "
            f"one. If you want that, add {_DANGER}.",
            file=sys.stderr,
        )
        return 2
    try:
        root = Root.temporary() if args.root is None else Root(args.root)
    except (RootInUseError, OSError) as error:
        print(f"cannot use the root directory: {error}", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_serve(args, root, _choose_key(args.key)))
    finally:
        root.remove(whole=args.root is None)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _choose_key(given: str | None) -> str:
    key = sys.stdin.readline().strip() if given == "-" else given
    return key or os.environ.get(_KEY_VARIABLE) or secrets.token_urlsafe(32)


async def _serve(args: argparse.Namespace, root: Root, key: str) -> int:
    # Here, so that `daytona-kernel --help` does not wait for it.
    from .app import Server
    from .box.orphans import become_subreaper
    from .embedded import choose_isolation, on_signals, raise_descriptor_limit

    try:
        isolation, note = choose_isolation(args.isolation)
        server = Server(root.sandboxes, key, isolation)
        server.listen(args.host, args.port)
    except (OSError, RuntimeError) as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1
    ended = asyncio.Event()
    on_signals(ended.set)
    become_subreaper()
    raise_descriptor_limit()
    sweeping = asyncio.create_task(asyncio.to_thread(sweep))
    print(f"export DAYTONA_API_URL={server.url}\nexport DAYTONA_API_KEY={shlex.quote(key)}", flush=True)
    print(
        f"Serving sandboxes from {root.path}. {note or 'Isolation: bubblewrap.'} Ctrl-C ends.",
        file=sys.stderr,
    )
    server.sandboxes.prepare()
    await ended.wait()
    await server.close()
    await sweeping
    return 0
