"""`daytona-kernel serve`: the embedded server as a program of its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..wire.addresses import is_loopback
from .box.isolation import ISOLATIONS
from .state_directory import StateDirectory, StateDirectoryInUseError, remove_abandoned
from .toolbox.profile import OWN, PROFILES

if TYPE_CHECKING:
    from .box.folder_mount import FolderMount

_KEY_VARIABLE = "DAYTONA_KERNEL_SERVE_KEY"
_LAST_PORT = 65_535
_EXPOSE_OPTION = "--i-know-this-gives-strangers-a-shell"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `serve` on `parser`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port to listen on (default: any free port)")
    parser.add_argument(
        "--key",
        help="API key that clients must send (default: a random key). Other users of this machine can see "
        f"this option in the process list; the environment variable {_KEY_VARIABLE} is safer, and "
        "'--key -' reads the key from standard input",
    )
    parser.add_argument(
        "--root", type=Path, help="state directory, which holds the sandboxes (default: a temporary one)"
    )
    parser.add_argument(
        "--isolation",
        choices=ISOLATIONS,
        default="auto",
        help="what keeps sandboxes apart from this machine (default: bubblewrap, or else landlock)",
    )
    parser.add_argument(
        "--snapshot",
        action="append",
        default=[],
        metavar="NAME=DIRECTORY",
        help="a directory with a root file system, as `docker export` and mmdebstrap make, from which "
        "sandboxes can be created by this name; it can be given more than once",
    )
    mounts = parser.add_mutually_exclusive_group()
    for option, how in (
        ("--mount", "without its notebooks and hidden names"),
        ("--mount-ro", "read-only"),
    ):
        mounts.add_argument(
            option, metavar="FOLDER", help=f"a folder of this machine that all sandboxes have, {how}"
        )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=OWN.name,
        help="how the server behaves where clients can tell: as itself, or with all limits and delays of "
        "Daytona's, for tests (default: %(default)s)",
    )
    parser.add_argument(
        _EXPOSE_OPTION,
        action="store_true",
        dest="exposed",
        help="required for a --host that other machines can reach: anyone who has the key, or who reads "
        "the unencrypted traffic, can run programs on this machine",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Return the exit status."""
    if not is_loopback(args.host) and not args.exposed:
        print(
            f"Other machines can reach {args.host}, and anyone who has the key can run programs on this "
            f"machine. If you want that, add {_EXPOSE_OPTION}.",
            file=sys.stderr,
        )
        return 2
    try:
        directory = StateDirectory.temporary() if args.root is None else StateDirectory(args.root)
    except (StateDirectoryInUseError, OSError) as error:
        print(f"cannot use the state directory: {error}", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_serve(args, directory, _choose_key(args.key)))
    finally:
        directory.remove(whole=args.root is None)


def _port(text: str) -> int:
    # The operating system would take the number modulo 65,536.
    if text.isascii() and text.isdigit() and int(text) <= _LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to {_LAST_PORT}")


def _choose_key(given: str | None) -> str:
    key = sys.stdin.readline().strip() if given == "-" else given
    return key or os.environ.get(_KEY_VARIABLE) or secrets.token_urlsafe(32)


def _folder_mount(args: argparse.Namespace) -> FolderMount | None:
    from ..wire.conventions import READ_ONLY, READ_WRITE
    from .box.folder_mount import FolderMount

    for mode, path in ((READ_WRITE, args.mount), (READ_ONLY, args.mount_ro)):
        if path is not None:
            return FolderMount(mode, os.path.realpath(Path(path).expanduser()))
    return None


async def _serve(args: argparse.Namespace, directory: StateDirectory, key: str) -> int:
    # Imported here so that `daytona-kernel --help` starts fast.
    from .app import Server
    from .box.control_group import ControlGroups
    from .box.orphans import become_subreaper
    from .box.snapshots import parse_snapshots, snapshots_of_environment
    from .embedded import on_signals, raise_descriptor_limit
    from .isolation import IsolationError, bound_sandboxes, choose_isolation, mount_folder
    from .limits import Timings
    from .watchdog import watchdog

    try:
        snapshots = snapshots_of_environment(os.environ) | parse_snapshots(args.snapshot)
        choice = choose_isolation(args.isolation)
        mount_folder(choice, _folder_mount(args))
        choice = bound_sandboxes(choice, ControlGroups(directory.groups))
        timings = Timings()
        profile = PROFILES[args.profile]
        server = Server(directory.sandboxes, key, choice.isolation, timings, snapshots, profile)
        server.listen(args.host, args.port)
    except (OSError, IsolationError, ValueError) as error:  # ValueError: of a host name, or a snapshot
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1
    ended = asyncio.Event()
    on_signals(ended.set)
    become_subreaper()
    raise_descriptor_limit()
    cleaning = asyncio.create_task(asyncio.to_thread(remove_abandoned))
    with watchdog(timings.stuck):
        try:
            print(
                f"export DAYTONA_API_URL={server.url}\nexport DAYTONA_API_KEY={shlex.quote(key)}", flush=True
            )
            about = choice.note or "Isolation: bubblewrap."
            print(f"Serving sandboxes from {directory.path}. {about} Press Ctrl-C to end.", file=sys.stderr)
            server.sandboxes.work_ahead()
            await ended.wait()
        finally:
            await server.close()
            await cleaning
    return 0
