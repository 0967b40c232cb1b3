"""The servers, sandboxes and the kernel that the attacks run against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, running_kernel
from tests.server.conftest import open_server, open_toolbox, server, session, toolbox

from .sandbox_code import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["open_server", "open_toolbox", "server", "session", "toolbox"]


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook's machine: a notebook's folder, a secret, a file to overwrite, and an allowed folder."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "notebook").mkdir()
    (folder / "notebook" / "data.csv").write_text("1,2\n")
    (folder / "notebook" / "more.csv").write_text("3,4\n")
    (folder / "allowed").mkdir()
    (folder / "key").write_text("canary of the key")
    (folder / "bashrc").write_text("# mine\n")
    return folder


@pytest.fixture(scope="package")
def attacked_kernel(machine: Path) -> Iterator[Driver]:
    """A kernel on that machine. Its sandbox has the attacker's tools."""
    settings = {"DAYTONA_KERNEL_LOCAL": "1", "DAYTONA_KERNEL_FOLDERS": str(machine / "allowed")}
    with running_kernel(cwd=machine / "notebook", **settings) as driver:
        driver.run(TOOLS, allow_stdin=False)
        driver.run("home = os.getcwd(); pathlib.Path('evil.txt').write_text('evil\\n')", allow_stdin=False)
        yield driver


@pytest.fixture
def kernel(attacked_kernel: Driver) -> Driver:
    """The attacked kernel, in an empty folder of its sandbox and without outcomes of earlier calls."""
    attacked_kernel.run(
        "os.chdir(home); outcomes.clear(); import shutil; shutil.rmtree('loot', ignore_errors=True)\n"
        "os.mkdir('loot'); os.chdir('loot'); pathlib.Path('evil.txt').write_text('evil\\n')",
        allow_stdin=False,
    )
    return attacked_kernel
