"""The code of docs/howto.md runs: cells in a real kernel, commands in a real shell.

The blocks of a question run in order, in one directory. Those that need an account run with
`daytona-kernel serve`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.kernel.driver import DEADLINE, Driver, running_kernel
from tests.lab_server import run_lab_server
from tests.served import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/howto.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"(?P<before>[^\n]*\n)\n?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"`([\w./-]+)`:\n")
_ANSWER = "s3cret"
# Cells that ask for a secret.
_ASKED = re.compile(r"^%secret \w+$", re.MULTILINE)

# Blocks that do not run here, by their first line, each with the reason.
NOT_RUN = {
    "daytona-kernel login": "a separate test runs it, with a key",
    'read -rsp "API key: " DAYTONA_API_KEY && export DAYTONA_API_KEY': "it starts JupyterLab",
    "jupyter server --MultiKernelManager.default_kernel_name=daytona": "a test below starts it",
    "jupyter execute report.ipynb": "a test of tests/frontends runs it",
    "%pip install humanize": "it needs the package index",
    "%secret API_TOKEN --account my-token": "it needs an account of Daytona",
    "%sandbox new --snapshot my-snapshot": "it needs a snapshot that somebody has made",
    "%sh git clone https://github.com/daytonaio/daytona.git": "it needs the internet",
    "mkdir -p ~/images/py314": "it needs docker",
    "%sh git clone https://github.com/you/private.git": "it needs somebody's repository",
    "/path/of/jupyter/bin/python -m pip install ipywidgets anywidget": "it needs the package index",
    "pip install --upgrade ./daytona-kernel": "it changes the environment of the tests",
    "pip uninstall daytona-kernel": "it changes the environment of the tests",
}
# Files that do not run here, each with the reason.
FILES_NOT_RUN = {
    ".github/workflows/notebooks.yml": "GitHub runs it; a test below checks its schema",
    "Dockerfile": "it needs Docker and the internet",
    "jupyterhub_config.py": "JupyterHub runs it; a test below compiles it",
}


@dataclass(frozen=True)
class Block:
    """A block of code. file: the name of the file that it is; None for a cell or commands."""

    language: str
    code: str
    file: str | None
    needs_account: bool

    @property
    def first_line(self) -> str:
        return self.code.partition("\n")[0]

    @property
    def runs(self) -> bool:
        return self.first_line not in NOT_RUN and self.file not in FILES_NOT_RUN


def questions() -> dict[str, list[Block]]:
    """Return the blocks below each heading."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        found[title] = [_block(match) for match in _BLOCK.finditer(text)]
    return found


def _block(match: re.Match[str]) -> Block:
    file = _FILE.fullmatch(match["before"])
    needs_account = "(needs an account):" in match["before"]
    return Block(match["language"], match["code"].rstrip("\n"), file[1] if file else None, needs_account)


QUESTIONS = questions()
BLOCKS = [block for blocks in QUESTIONS.values() for block in blocks]


class Reader:
    """A person who does what the page says, in one directory."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.work = directory / "work"
        self._directory = directory
        self._stack = stack
        self._kernels: dict[bool, tuple[Driver, ExitStack]] = {}
        self._served: Mapping[str, str] = {}
        self._sandbox_id = ""
        self.work.mkdir()
        for name, kernel in (("report", "daytona"), ("analysis", "python3")):
            nbformat.write(make_notebook(kernel), self.work / f"{name}.ipynb")

    def environment(self, *, account: bool) -> dict[str, str]:
        """Return the variables of a shell: all files of Jupyter are in the reader's own directory."""
        if account and not self._served:
            self._served = self._stack.enter_context(serving(self._directory / "served"))
        own = {
            name: str(self._directory / name.lower())
            for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**own, "PATH": path, "CI_TOKEN": _ANSWER, **(self._served if account else {})}

    def run(self, block: Block) -> None:
        code = block.code.replace("YOUR_SANDBOX", self._sandbox_id)
        if block.file is not None:
            path = self.work / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code + "\n", encoding="utf-8")
        elif block.language == "python":
            self._run_cell(code, account=block.needs_account)
        else:
            self._run_commands(code, account=block.needs_account)

    def _run_commands(self, code: str, *, account: bool) -> None:
        environment = {**os.environ, **self.environment(account=account)}
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", code],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"

    def _run_cell(self, code: str, *, account: bool) -> None:
        if account not in self._kernels:
            kernel = running_kernel(cwd=self.work, **self.environment(account=account))
            ending = self._stack.enter_context(ExitStack())  # after the server's: the kernel ends first
            self._kernels[account] = ending.enter_context(kernel), ending
        driver, ending = self._kernels[account]
        msg_id = driver.send(code, allow_stdin=True)
        for _ in _ASKED.findall(code):
            assert driver.client.get_stdin_msg(timeout=DEADLINE)["msg_type"] == "input_request"
            driver.client.input(_ANSWER)
        answer = driver.collect(msg_id)
        shown = f"{code}\n{answer.stdout}{answer.stderr}{answer.reply}"
        assert answer.reply["status"] == "ok", shown
        assert _ANSWER not in str(answer.messages)
        if code == "%sandbox keep":
            match = re.search(r"%sandbox attach (\S+)", answer.stdout)
            assert match, shown
            self._sandbox_id = match[1]
            # The next cells belong to another notebook.
            del self._kernels[account]
            ending.close()


def make_notebook(kernel: str) -> nbformat.NotebookNode:
    parameters = nbformat.v4.new_code_cell("rows = 2", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell("print(list(range(rows)))")]
    kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": kernelspec}
    )
    return notebook


@pytest.fixture(scope="module")
def shared_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A person who asks one question after another, in one notebook."""
    with ExitStack() as stack:
        yield Reader(tmp_path_factory.mktemp("shared"), stack)


def begins_with_cells(blocks: list[Block]) -> bool:
    """Return whether no command comes before a cell: it may set what only a new kernel reads."""
    languages = [block.language for block in blocks if block.runs and not block.file]
    return "python" in languages and languages == sorted(languages)


@pytest.mark.kernel
@pytest.mark.timeout(400)  # an answer may start several kernels and programs that import for seconds
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_code_of_an_answer_runs(question: str, shared_reader: Reader, tmp_path: Path) -> None:
    missing = ""
    blocks = QUESTIONS[question]
    with ExitStack() as stack:
        reader = shared_reader if begins_with_cells(blocks) else Reader(tmp_path, stack)
        for block in blocks:
            if not block.runs:
                continue
            if "--language javascript" in block.code and shutil.which("node") is None:
                missing = "node is not installed, which runs JavaScript"
            else:
                reader.run(block)
    if missing:
        pytest.skip(missing)


@pytest.mark.kernel
def test_the_guard_fails_with_another_kernel() -> None:
    assert "%daytona" in {block.code for block in BLOCKS}
    with running_kernel("python3") as driver:
        answer = driver.run("%daytona")
        assert answer.reply["status"] == "error"
        assert "UsageError" in answer.reply["ename"]


@pytest.mark.kernel
def test_a_server_starts_this_kernel_where_none_is_named(tmp_path: Path) -> None:
    option = "--MultiKernelManager.default_kernel_name=daytona"
    assert f"jupyter server {option}" in NOT_RUN
    with run_lab_server(tmp_path, options=[option]) as server:
        kernel = server.request("kernels", "POST")
        assert kernel["name"] == "daytona"
        server.request(f"kernels/{kernel['id']}", "DELETE", timeout=60)


def test_only_what_is_listed_does_not_run() -> None:
    assert NOT_RUN.keys() <= {block.first_line for block in BLOCKS}
    assert FILES_NOT_RUN.keys() <= {block.file for block in BLOCKS}
    assert {block.language for block in BLOCKS} <= {"sh", "python", "text", "yaml", "dockerfile"}
    assert all(block.file for block in BLOCKS if block.language in {"text", "yaml", "dockerfile"})
    assert len(BLOCKS) > 35
    assert sum(block.needs_account for block in BLOCKS) == 6


def test_the_files_of_other_programs_are_valid(tmp_path: Path) -> None:
    files = {block.file: block.code for block in BLOCKS if block.file}
    compile(files["jupyterhub_config.py"], "jupyterhub_config.py", "exec")
    workflow = tmp_path / "notebooks.yml"
    workflow.write_text(files[".github/workflows/notebooks.yml"])
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.github-workflows", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout
