"""`daytona-kernel serve`, run the way users run it: a server that no kernel starts."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import DaytonaConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).with_name("daytona-kernel"))


@contextmanager
def serving(root: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run the server, and yield the variables that its output says to export."""
    command = [COMMAND, "serve", "--root", str(root), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        environment: dict[str, str] = {}
        while len(environment) < 2:
            line = server.stdout.readline()
            assert line, "the server ended"
            if match := re.match(r"export (DAYTONA_\w+)=(\S+)", line):
                environment[match[1]] = match[2].strip("'\"")
        try:
            yield environment
        finally:
            server.terminate()
            assert server.wait(60) == 0  # it removes the files of its sandboxes


def config(environment: dict[str, str]) -> DaytonaConfig:
    """Return the client's settings from the exported variables."""
    return DaytonaConfig(api_key=environment["DAYTONA_API_KEY"], api_url=environment["DAYTONA_API_URL"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run one server for the tests of a module."""
    with serving(tmp_path_factory.mktemp("served")) as environment:
        yield environment
