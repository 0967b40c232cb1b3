"""The next day: the next kernel of a notebook goes on in the sandbox that was kept for it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from daytona_kernel import Daytona, Sandbox
from daytona_kernel.cli import main
from tests.conftest import both_profiles
from tests.served import COMMAND, config, serving

from .driver import Driver, run_kernel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Desk:
    """A person's place: an account, a notebook, the cards of the launcher, and what kernels leave here."""

    root: Path
    account: dict[str, str]
    daytona: Daytona
    notebook: str = "analysis.ipynb"
    environment: dict[str, str] = field(default_factory=dict)

    def install(self, *options: str) -> None:
        """Make a card."""
        # In this process: only the card matters here.
        assert main(["install", "--prefix", str(self.root), "--name", "card", *options]) == 0

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the kernels and commands here."""
        return {
            **self.account,
            "JPY_SESSION_NAME": str(self.root / self.notebook),
            "JUPYTER_DATA_DIR": str(self.root / "data"),
            **self.environment,
        }

    @contextmanager
    def kernel(self, **more: str) -> Iterator[Driver]:
        """Run a kernel of the card for the notebook."""
        specs = KernelSpecManager(kernel_dirs=[str(self.root / "share/jupyter/kernels")])
        manager = KernelManager(kernel_name="card", kernel_spec_manager=specs)
        with run_kernel(manager, self.root, **{**self.variables, **more}) as driver:
            yield driver

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `daytona-kernel`."""
        environ = os.environ | self.variables
        return subprocess.run(
            [COMMAND, *words], env=environ, capture_output=True, text=True, timeout=90, check=False
        )

    def sandboxes(self) -> list[Sandbox]:
        return list(self.daytona.list())

    def await_state(self, state: str) -> None:
        wait_until(
            lambda: [one.state for one in self.sandboxes()] == [state], 30, f"its state is not {state}"
        )


@pytest.fixture(scope="module")
def account(profile: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving(tmp_path_factory.mktemp("served"), "--profile", profile) as environment:
        yield environment


@pytest.fixture
def desk(account: dict[str, str], tmp_path: Path) -> Iterator[Desk]:
    with Daytona(config(account)) as daytona:
        yield Desk(tmp_path, account, daytona)
        for sandbox in daytona.list():
            sandbox.delete()
        wait_until(lambda: list(daytona.list()) == [], 30, "the sandboxes are not deleted")


FIRST_DAY = "import pathlib\npathlib.Path('result').write_text('of yesterday')\nx = 41"
NEXT_DAY = "x + 1, pathlib.Path('result').read_text()"


PROJECT = {
    "helpers.py": "def total(path):\n    return sum(int(line) for line in open(path))\n",
    "data/numbers.csv": "20\n21\n",
    ".env": "TOKEN=of-this-machine\n",
}
NOTEBOOK = [
    "from helpers import total\nx = total('data/numbers.csv')\nx",
    "import pathlib\npathlib.Path('results').mkdir()\npathlib.Path('results/total').write_text(str(x))",
    "pathlib.Path('.env').exists()",
]


def test_an_existing_project_runs_unchanged_and_goes_on_the_next_day(desk: Desk) -> None:
    for name, text in PROJECT.items():
        (desk.root / name).parent.mkdir(exist_ok=True)
        (desk.root / name).write_text(text)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in NOTEBOOK])
    nbformat.write(notebook, desk.root / desk.notebook)
    before = (desk.root / desk.notebook).read_bytes()
    desk.install("--at-shutdown=pause", "--display-name=Daytona (project)")
    desk.environment["DAYTONA_KERNEL_PROJECT"] = "."
    with desk.kernel() as driver:
        answers = [driver.run(cell.source) for cell in nbformat.read(desk.root / desk.notebook, 4).cells]
        assert [answer.result for answer in answers] == ["41", "2", "False"]
    desk.await_state("paused")

    (desk.root / "data/numbers.csv").write_text("20\n22\n")
    with desk.kernel() as driver:
        answer = driver.run("x, total('data/numbers.csv'), open('results/total').read()")
        assert answer.result == "(41, 42, '41')"
        assert "in use again, with its variables" in answer.displayed
        assert driver.run("%sync pull").reply["status"] == "ok"
    assert (desk.root / "results/total").read_text() == "41"
    assert (desk.root / desk.notebook).read_bytes() == before


@both_profiles
@pytest.mark.parametrize(("end", "state"), [("pause", "paused"), ("keep", "started")])
def test_the_next_day_goes_on_with_files_and_variables(desk: Desk, end: str, state: str) -> None:
    desk.install(f"--at-shutdown={end}")
    with desk.kernel() as driver:
        assert driver.run(FIRST_DAY).reply["status"] == "ok"
    desk.await_state(state)
    (kept,) = desk.sandboxes()
    for _ in range(2):
        with desk.kernel() as driver:
            answer = driver.run(NEXT_DAY)
            assert answer.result == "(42, 'of yesterday')"
            assert f"Sandbox {kept.name} was kept for this notebook" in answer.displayed
            assert answer.stderr == ""  # nothing is lost
            assert "in use again, with its variables" in answer.displayed
            assert [one.id for one in desk.sandboxes()] == [kept.id]
        desk.await_state(state)


@both_profiles
def test_after_a_stop_the_files_are_there(desk: Desk) -> None:
    desk.install("--at-shutdown=stop")
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
    desk.await_state("stopped")
    with desk.kernel() as driver:
        answer = driver.run("open('result').read(), 'x' in globals()")
        assert answer.result == "('of yesterday', False)"
        assert "was kept for this notebook, with its files" in answer.displayed


def test_a_kernel_that_was_killed_has_kept_its_sandbox(desk: Desk) -> None:
    desk.install("--at-shutdown=pause")
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
        driver.manager.provisioner.process.kill()
        wait_until(lambda: not driver.manager.is_alive(), 20, "the kernel lives")
    with desk.kernel() as driver:
        assert driver.run(NEXT_DAY).result == "(42, 'of yesterday')"


def test_another_notebook_and_another_living_kernel_have_sandboxes_of_their_own(desk: Desk) -> None:
    desk.install("--at-shutdown=keep")
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
        with desk.kernel() as second:
            answer = second.run("'x' in globals()")
            assert answer.result == "False"
            assert "Another kernel of this notebook uses the sandbox" in answer.stderr
        with desk.kernel(JPY_SESSION_NAME=str(desk.root / "other.ipynb")) as other:
            answer = other.run("'x' in globals()")
            assert (answer.result, answer.stderr) == ("False", "")
        assert driver.run(NEXT_DAY).result == "(42, 'of yesterday')"


def test_a_kept_sandbox_that_is_gone_is_said_and_replaced(desk: Desk) -> None:
    desk.install("--at-shutdown=pause")
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
    desk.await_state("paused")
    (kept,) = desk.sandboxes()
    kept.delete()
    wait_until(lambda: desk.sandboxes() == [], 30)
    with desk.kernel() as driver:
        answer = driver.run("'x' in globals()")
        assert answer.result == "False"
        assert f"{kept.name}, which was kept for this notebook, was deleted" in answer.stderr or (
            f"{kept.id}, which was kept for this notebook, was deleted" in answer.stderr
        )


def test_a_sandbox_is_kept_by_a_magic_and_deleted_by_another(desk: Desk) -> None:
    desk.install()
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
        assert "next kernel of this notebook" in driver.run("%sandbox keep").stdout
    desk.await_state("started")
    with desk.kernel() as driver:
        assert driver.run(NEXT_DAY).result == "(42, 'of yesterday')"
        driver.run("%sandbox delete")
        wait_until(lambda: desk.sandboxes() == [], 30, "the sandbox is not deleted")
    with desk.kernel() as driver:
        answer = driver.run("'x' in globals()")
        assert (answer.result, answer.stderr) == ("False", "")


def test_info_and_list_tell_whose_it_is_when_it_ends_and_what_it_costs(desk: Desk) -> None:
    desk.install("--at-shutdown=pause", "--auto-pause=40")
    desk.environment["DAYTONA_KERNEL_RATES"] = "cpu=1 memory=0 disk=0.01"
    with desk.kernel() as driver:
        (info,) = driver.run("%sandbox info").contents("display_data")
        text = info["data"]["text/plain"]
        assert "Pauses" in text
        assert "after 40 min without activity: in " in text
        assert "paused when the kernel ends, with its files and variables kept" in text
        assert "an hour while it is stopped (DAYTONA_KERNEL_RATES)" in text
        (listed,) = driver.run("%sandbox list").contents("display_data")
        assert "analysis.ipynb" in listed["data"]["text/plain"]
    desk.await_state("paused")
    printed = desk.command("sandboxes").stdout
    assert "analysis.ipynb" in printed
    assert "paused" in printed


def test_resume_starts_the_sandbox_before_the_kernel_does(desk: Desk) -> None:
    desk.install("--at-shutdown=pause")
    notebook = str(desk.root / desk.notebook)
    assert "No sandbox is kept" in desk.command("resume", notebook).stderr
    with desk.kernel() as driver:
        driver.run(FIRST_DAY)
        assert "A kernel of" in desk.command("resume", notebook).stderr
    desk.await_state("paused")
    resumed = desk.command("resume", notebook)
    assert "was paused, and runs again with its files and processes" in resumed.stdout
    desk.await_state("started")
    with desk.kernel() as driver:
        assert driver.run(NEXT_DAY).result == "(42, 'of yesterday')"
    desk.await_state("paused")
    (kept,) = desk.sandboxes()
    # Another notebook gets the same files, and not the interpreter, whose key is not its own.
    other = desk.command("resume", str(desk.root / "other.ipynb"), "--sandbox", kept.id)
    assert "The next kernel of other.ipynb goes on there" in other.stdout
    with desk.kernel(JPY_SESSION_NAME=str(desk.root / "other.ipynb")) as driver:
        assert driver.run("open('result').read(), 'x' in globals()").result == "('of yesterday', False)"
