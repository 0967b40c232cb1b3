"""The places where a value could have stayed that nobody should see, looked at from beside the sandbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from daytona_kernel import AsyncDaytona
from tests.served import config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from daytona_kernel.client.sandbox import AsyncSandbox


class Traces:
    """The traces of the kernels and sandboxes of a test.

    served: the variables of the server that has the sandboxes. folders: where server and kernels have files.
    """

    def __init__(self, served: dict[str, str], folders: Iterable[Path]) -> None:
        self._served = served
        self._folders = list(folders)

    def of(self, value: str) -> list[str]:
        """Return the places that have a value: command lines, files, and what the toolboxes keep.

        A file in a sandbox is given with its mode in octal: "600 /tmp/name".
        """
        texts = [*_command_lines(), *self._files()]
        found = [place for place, text in texts if value in text]
        return found + asyncio.run(self._in_sandboxes(value))

    def _files(self) -> Iterator[tuple[str, str]]:
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    try:
                        yield str(path), path.read_bytes().decode("latin-1")
                    except OSError:
                        continue  # it has just been removed, or is a socket

    async def _in_sandboxes(self, value: str) -> list[str]:
        found = []
        async with AsyncDaytona(config(self._served)) as daytona:
            async for sandbox in daytona.list():
                found += [place for place, text in await _kept_by(sandbox) if value in text]
                files = (await sandbox.process.exec(_SEARCH, env={"SOUGHT": value})).result
                found += files.splitlines()
        return found


# The places in a sandbox where programs can write. The sought value is in the environment alone. What is
# mounted read-only there is the server's Python, perhaps with the tests.
_SEARCH = """
cd / && python3 - /tmp /var/tmp /dev/shm "$HOME" "${DAYTONA_TMP:-/tmp}" /workspace << 'END'
import os, sys
sought = os.environ["SOUGHT"].encode()
for place in sorted(set(sys.argv[1:])):
    for folder, _, names in os.walk(place):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            continue
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path) and not os.path.islink(path) and sought in open(path, "rb").read():
                print(format(os.stat(path).st_mode & 0o777, "o"), path)
END
"""


async def _kept_by(sandbox: AsyncSandbox) -> list[tuple[str, str]]:
    """Return the commands and logs of a sandbox's sessions, and the description of the sandbox."""
    found = [(f"sandbox {sandbox.id}", repr(vars(sandbox.instance)))]
    for session in await sandbox.process.list_sessions():
        for command in session.commands:
            place = f"command {session.session_id} {command.id}"
            log = await sandbox.process.get_session_command_logs(session.session_id, command.id)
            found += [(place, command.command), (f"log of {place}", log.output)]
    return found


def _command_lines() -> Iterator[tuple[str, str]]:
    for process in psutil.process_iter():
        try:
            yield f"process {process.pid}", " ".join(process.cmdline())
        except psutil.Error:
            continue
