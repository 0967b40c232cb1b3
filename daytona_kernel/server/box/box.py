"""A box: the directory and the supervisor process of one sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from .. import limits
from ..removal import remove_tree
from . import mounts
from .bubblewrap import Bubblewrap
from .control_group import GROUP_SEEN_AS
from .image_mounts import of_the_image_box
from .isolation import ISOLATED, ON_AN_IMAGE, PARTS, layout_at
from .landlock import Landlock
from .launchers import current_launchers
from .mount_points import make_mount_points
from .network import Network, NetworkStack
from .python_environment import base_python, make_image_settings, make_python_environment
from .server_python import server_python
from .supervisor_client import SUPERVISOR_PROGRAM, SupervisorClient

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from .control_group import ControlGroup, Size
    from .isolation import Isolation


SUPERVISOR_SEEN_AS = "/run/supervisor.py"

# One removal at a time: a sandbox with a million files must not occupy the threads of other sandboxes.
_removals = ThreadPoolExecutor(1, "removals")


class Box:
    """A box inside the directory `parent`. Its `id` becomes the sandbox's. Its children see `layout`.

    `isolation` is `None` if nothing isolates it. `image` is the root file system on which it stands, a
    directory; `None` means this machine's own. Bubblewrap isolates a box on an image.
    """

    def __init__(self, parent: Path, isolation: Isolation | None, image: str | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.directory = parent / self.id
        self.image = image
        self.layout = ISOLATED if image is None else ON_AN_IMAGE
        if not isinstance(isolation, Bubblewrap):
            self.layout = layout_at(self.directory, isolated=isolation is not None)
        self._isolation = isolation
        self._starting: asyncio.Task[SupervisorClient] | None = None  # the start ahead, if there was one
        self._size: Size | None = None  # of the start ahead
        self._network = Network("host") if isolation is None else isolation.network
        self._run: int | None = None

    @property
    def run(self) -> int:
        """The descriptor of the directory with the FIFOs of a started box.

        The server opens it before the sandbox runs, and follows no path into it after that.
        """
        assert self._run is not None
        return self._run

    @property
    def environment(self) -> dict[str, str]:
        """What the isolation adds to the environment of the children."""
        if not isinstance(self._isolation, Landlock):
            return {}
        return {**self._isolation.environment, "DAYTONA_TMP": self.layout.tmp}

    @property
    def volumes(self) -> list[dict[str, str]]:
        """The folders of this machine that it has, in the API's JSON."""
        folder = self._isolation.folder if isinstance(self._isolation, Bubblewrap) else None
        return [] if folder is None else [folder.volume]

    def start_ahead(self, size: Size) -> None:
        """Start the supervisor in the background, with the bounds of `size`."""
        self._size = size
        self._starting = asyncio.create_task(self._start_supervisor(size, self._network))

    async def start(self, size: Size, network: Network) -> SupervisorClient:
        """Return a running supervisor with the bounds of `size`, whose children may use `network`.

        This is the supervisor that was started ahead, if it has the same ones, or else a new one. Raises
        `OSError` or `RuntimeError` if it does not start.
        """
        ahead = await self._started_ahead()
        if ahead is not None:
            if (self._size, self._network) == (size, network) and not ahead.lost.done():
                return ahead
            await ahead.close()
        return await self._start_supervisor(size, network)

    async def _started_ahead(self) -> SupervisorClient | None:
        starting, self._starting = self._starting, None
        if starting is None:
            return None
        try:
            return await starting
        except (OSError, RuntimeError):
            return None  # `start` tries again, and raises the error of that attempt

    async def remove(self) -> None:
        """End the supervisor that was started ahead, and remove the directory."""
        ahead = await self._started_ahead()
        if ahead is not None:
            await ahead.close()
        if self._run is not None:
            os.close(self._run)
            self._run = None
        doomed = self.directory.with_name(f".{self.id}")
        with contextlib.suppress(FileNotFoundError):
            # The rename takes the directory out of the way at once; its removal may take long.
            self.directory.rename(doomed)
            if not await asyncio.get_running_loop().run_in_executor(_removals, remove_tree, doomed):
                sys.stderr.write(f"sandbox {self.id}: some of its files could not be removed from {doomed}\n")

    def _make_directories(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True)
        for part in PARTS:
            if part != "python":
                (self.directory / part).mkdir(mode=0o700)
        (self.directory / "logs").mkdir(mode=0o700)
        self._run = os.open(self.directory / "run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self.image is not None:
            (self.directory / "python").mkdir(mode=0o755)
            make_image_settings(self.directory / "python")
            return
        make_python_environment(self.directory / "python", self.layout.python, isolated=self.layout.isolated)
        if not isinstance(self._isolation, Bubblewrap):
            launchers = current_launchers(
                "/usr/bin/env python3", str(self.directory.parent), isolated=self.layout.isolated
            )
            (self.directory / "programs").symlink_to(launchers)

    def _prepare(self, size: Size, network: Network) -> tuple[list[str], ControlGroup | None]:
        """Make the directories, unless they are there, and a control group.

        Return the mounts that an isolated box has, and the group.
        """
        is_new = not self.directory.exists()
        if is_new:
            self._make_directories()
        if self._isolation is None:
            return [], None
        own = []
        if isinstance(self._isolation, Bubblewrap):
            own_mounts = mounts.of_the_box if self.image is None else of_the_image_box
            own = own_mounts(self.directory, network)
            if self._isolation.folder is not None:
                own += self._isolation.folder.options
            own = make_mount_points(self.directory, own)
        if is_new:
            for part in PARTS:
                self._isolation.account.give(self.directory / part)
        groups = self._isolation.groups
        return own, None if groups is None else groups.make(self.id, size)

    async def _start_supervisor(self, size: Size, network: Network) -> SupervisorClient:
        own, group = await asyncio.to_thread(self._prepare, size, network)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(self.directory / "supervisor.log", flags, 0o600)
        try:
            if self._isolation is None:
                return await _ready(SupervisorClient.start([], str(SUPERVISOR_PROGRAM), "", log))
            told, tell = os.pipe()
            with contextlib.closing(os.fdopen(told, "rb", buffering=0)) as child:
                try:
                    supervisor = self._start_isolated(own, group, size, network, log, tell)
                finally:
                    os.close(tell)
                has_stack = network.kind == "own" and isinstance(self._isolation, Bubblewrap)
                return await (
                    _connected(supervisor, child, network, log) if has_stack else _ready(supervisor)
                )
        finally:
            os.close(log)

    def _start_isolated(
        self,
        own: list[str],
        group: ControlGroup | None,
        size: Size,
        network: Network,
        log: int,
        tell: int,
    ) -> SupervisorClient:
        assert self._isolation is not None
        program = str(SUPERVISOR_PROGRAM)
        if isinstance(self._isolation, Landlock):
            isolating = self._isolation.prefix(self.directory, network)
        else:
            own = [*own, "--ro-bind", program, SUPERVISOR_SEEN_AS]
            if group is not None:
                own += ["--ro-bind", str(group.path), GROUP_SEEN_AS]
            isolating = self._isolation.prefix(own, network, self.image, tell)
            program = SUPERVISOR_SEEN_AS
        with isolating as (prefix, inherited):
            return SupervisorClient.start(
                prefix,
                program,
                _resource_limits(size.memory, grouped=group is not None),
                log,
                inherited=inherited,
                account=self._isolation.account,
                group=group,
                python=None if self.image is None else server_python().command(base_python()),
            )


async def _ready(supervisor: SupervisorClient) -> SupervisorClient:
    """Return the supervisor when it is ready. Close it if it does not start."""
    try:
        await supervisor.wait_until_ready()
    except BaseException:
        await supervisor.close()
        raise
    return supervisor


async def _connected(
    supervisor: SupervisorClient, child: FileIO, network: Network, log: int
) -> SupervisorClient:
    """Return the supervisor when it and its network are ready. They start beside each other.

    `child` is what bubblewrap tells about its child.
    """
    connecting = asyncio.create_task(NetworkStack.start(child, network, log))
    supervisor.on_close = partial(_close_stack, connecting)
    await _ready(supervisor)
    try:
        await connecting
    except BaseException:
        await supervisor.close()
        raise
    return supervisor


async def _close_stack(connecting: asyncio.Task[NetworkStack]) -> None:
    """End a network stack, or its start."""
    connecting.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError, RuntimeError):
        await (await connecting).close()


def _resource_limits(memory: int, *, grouped: bool) -> str:
    """Return the limits of each process of a box with `memory` GiB, as its supervisor reads them.

    NPROC counts the processes of all boxes that have the same user, so one box could use up what the others
    need. A box with a control group is bounded there, and its NPROC is higher.
    """
    bounds = limits.RESOURCE_LIMITS | {"DATA": limits.memory_bytes(memory)}
    if grouped:
        bounds["NPROC"] *= limits.SANDBOXES
    return ",".join(f"{name}={value}" for name, value in bounds.items())
