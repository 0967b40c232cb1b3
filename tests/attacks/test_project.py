"""The sandbox uses the project to get the person's secrets, or to bring programs to the person's machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, running_kernel

from .magic_calls import refused
from .sandbox_code import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine") / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "mod.py").write_text("mine\n")
    (folder / "run.sh").write_text("mine\n")
    (folder / "run.sh").chmod(0o755)
    (folder / ".env").write_text("canary\n")
    (folder / ".daytonaignore").write_text("!.env\n")
    (folder / "outside").symlink_to("/etc")
    return folder


@pytest.fixture(scope="module")
def kernel(project: Path) -> Iterator[Driver]:
    # The folder is allowed for computed paths, too. That must not open more of it.
    settings = {"DAYTONA_KERNEL_PROJECT": ".", "DAYTONA_KERNEL_FOLDERS": str(project / "src")}
    with running_kernel(cwd=project, **settings) as driver:
        driver.run(TOOLS, allow_stdin=False)
        yield driver


def test_secrets_and_links_do_not_go_along(kernel: Driver) -> None:
    answer = kernel.run("print(sorted(os.listdir('.')))", allow_stdin=False)
    assert answer.stdout == "['.daytonaignore', 'run.sh', 'src']\n"


def test_code_in_the_sandbox_neither_sends_nor_pulls(kernel: Driver, project: Path) -> None:
    for line in ("push .env", "push src", "pull", "pull --force --all", "status"):
        message = refused(kernel, f"words = {line!r}\nget_ipython().run_line_magic('sync', words)")
        assert message.startswith(f"%sync {line.split()[0]} was not carried out.")
    refused(kernel, "name = '.env'\nget_ipython().run_line_magic('sync', f'push {name}')")
    assert kernel.run("os.path.exists('.env')", allow_stdin=False).result == "False"
    assert (project / "src" / "mod.py").read_text() == "mine\n"


def test_a_pull_brings_nothing_that_runs_by_itself(kernel: Driver, project: Path) -> None:
    kernel.run(
        "for name in ('run.sh', 'json.py', 'conftest.py', '.envrc', '.git/hooks/x', '.vscode/tasks.json',\n"
        "             'src/.git/config', 'numpy/__init__.py', 'r.csv', 'new/json.py', 'prog'):\n"
        "    p = pathlib.Path(name); p.parent.mkdir(parents=True, exist_ok=True); p.write_text('evil')\n"
        "os.chmod('prog', 0o755); os.symlink('/etc/passwd', 'passwd'); os.symlink('../..', 'src/up')\n"
        "pathlib.Path('a\\u202eb').touch()",
        allow_stdin=False,
    )
    before = {path.relative_to(project) for path in project.rglob("*")}
    answer = kernel.run("%sync pull", allow_stdin=False)
    assert answer.reply["status"] == "ok", answer
    arrived = {str(path.relative_to(project)) for path in project.rglob("*")} - {str(path) for path in before}
    assert arrived == {"r.csv", "new", "new/json.py", "prog"}
    assert not os.access(project / "prog", os.X_OK)
    assert (project / "run.sh").read_text() == "mine\n"
    assert "Left out hidden names, and names that Python or Jupyter would run by themselves" in answer.stderr


def test_a_pull_follows_no_link_of_this_machine(kernel: Driver, project: Path, tmp_path: Path) -> None:
    kernel.run("pathlib.Path('there').mkdir(); pathlib.Path('there/x').write_text('evil')", allow_stdin=False)
    (project / "there").symlink_to(tmp_path)
    answer = kernel.run("%sync pull there --force --all", allow_stdin=False)
    assert answer.reply["status"] == "error"
    assert "in its way" in answer.error["evalue"]
    assert list(tmp_path.iterdir()) == []
    (project / "there").unlink()
