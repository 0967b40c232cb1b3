"""Bytecode for the packages that sandboxes see.

A sandbox cannot write beside the packages. If an installer has left them without bytecode, as uv does, each
sandbox would compile them again at each import. So the server compiles them once, as the first import in an
ordinary kernel would: where the person may write, in a process with the lowest priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from .cache import cache_directory
from .orphans import helpers
from .python_environment import seen_directories

_PROGRAM = Path(__file__).with_name("compile_packages.py")


class Bytecode:
    """The process that compiles the packages. It starts `delay` seconds after `start`."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._timer: asyncio.TimerHandle | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reaping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process later, unless the person wants no bytecode."""
        if not sys.dont_write_bytecode and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._compile)

    def _compile(self) -> None:
        directories = [*seen_directories(), sysconfig.get_path("stdlib")]
        own = [path for path in directories if _belongs_to_person(path)]
        with contextlib.suppress(OSError):
            stamps = os.path.join(cache_directory(), f"compiled-{sys.implementation.cache_tag}.json")
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), str(os.getpid()), stamps, *own],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            helpers.add(self._process.pid)
            self._reaping = asyncio.create_task(self._reap(self._process))

    async def _reap(self, process: subprocess.Popen[bytes]) -> None:
        descriptor = os.pidfd_open(process.pid)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
            process.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """End the process. What it has compiled stays."""
        if self._timer is not None:
            self._timer.cancel()
        if self._reaping is not None:
            self._reaping.cancel()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            helpers.discard(self._process.pid)


def _belongs_to_person(directory: str) -> bool:
    """Return whether the directory is the person's. The system's packages come with their bytecode."""
    try:
        status = os.stat(directory)
    except OSError:
        return False
    return (
        status.st_uid == os.getuid() and os.access(directory, os.W_OK) and not directory.startswith("/usr/")
    )
