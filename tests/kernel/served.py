"""A Daytona that no kernel has started: `daytona-kernel serve`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("daytona-kernel"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`daytona-kernel serve`, and the environment that it tells to export."""
    root = tmp_path_factory.mktemp("served")
    server = subprocess.Popen(
        [COMMAND, "serve", "--root", str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert server.stdout is not None
    environment: dict[str, str] = {}
    while len(environment) < 2:
        line = server.stdout.readline()
        assert line, "the server ended"
        if match := re.match(r"export (DAYTONA_\w+)=(\S+)", line):
            environment[match[1]] = match[2].strip("'\"")
    yield environment
    server.terminate()
    assert server.wait(10) == 0
