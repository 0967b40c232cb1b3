"""`%secret` in a real kernel: where the value arrives, and where it never is."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from daytona_kernel import Daytona
from tests.conftest import both_profiles
from tests.kernel.driver import DEADLINE, Answer, Driver, run_kernel, running_kernel, wait_until
from tests.served import config, serving
from tests.traces import Traces

from .conftest import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUE = "blueheron-7 \"$x\\'n`id`"
# In pieces, so that neither a cell nor the interpreter's history has the value.
SPELLED = f"bytes({list(VALUE.encode())}).decode()"
# Every form of it that a shell or JSON may have begins like this.
START = VALUE[:11]
SEEN = f"__import__('os').environ.get('TOKEN') == {SPELLED}"


@pytest.fixture(scope="module")
def served(profile: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """A server with the profile, and its directory."""
    root = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYTONA_KERNEL_PROFILE", profile)
        with serving(root) as environment:
            yield environment, root


@pytest.fixture(scope="module")
def kernel(served: tuple[dict[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A kernel whose secrets no test keeps."""
    own = {"COPY_OF_THE_KEY": served[0]["DAYTONA_API_KEY"], "DAYTONA_X": "own"}
    with running_kernel(**served[0], TOKEN_HERE="from the machine", **own) as driver:
        yield driver


@pytest.fixture(autouse=True)
def _forget_afterwards(kernel: Driver) -> Iterator[None]:
    yield
    kernel.run("%secret --forget TOKEN")


def give(kernel: Driver, value: str, cell: str = "%secret TOKEN") -> Answer:
    """Run a cell that asks for a secret, and type it."""
    msg_id = kernel.send(cell, allow_stdin=True)
    asked = kernel.client.get_stdin_msg(timeout=DEADLINE)["content"]
    assert asked == {"prompt": "Value of TOKEN, for the sandbox: ", "password": True}
    kernel.client.input(value)
    return kernel.collect(msg_id)


def shown(answer: Answer) -> str:
    return json.dumps([[each["content"] for each in answer.messages], answer.reply], ensure_ascii=False)


@both_profiles
def test_cells_commands_and_sessions_have_it(kernel: Driver) -> None:
    kernel.run("%session create before\n%session run before mine=1")
    answer = give(kernel, VALUE, f"%secret TOKEN\nprint({SEEN})")
    assert answer.stdout == (
        "TOKEN is now a variable of cells, commands and sessions. Outputs hide its value.\nTrue\n"
    )
    check = f'python3 -c "import os; print({SEEN.replace(chr(34), chr(39))})"'
    for cell in (
        f"print({SEEN})",
        f"!{check}",
        f"%sh {check}",
        f"%sh --live {check}",
        f"%session run before {check}; echo $mine",
        f"%%session\n{check}",
        f"%%session\n{check}",
        f"%%code_run\nprint({SEEN})",
    ):
        assert kernel.run(cell).stdout.splitlines()[:1] == ["True"], cell
    job = kernel.run(f"job = %session run before --async {check} > out; sleep 0.1\njob").result
    wait_until(lambda: kernel.run("%sh cat out").stdout == "True\n", DEADLINE)
    kernel.run("%session delete --all")
    assert job


@both_profiles
@pytest.mark.parametrize(
    "cell",
    [
        "import os; print(os.environ['TOKEN'])",
        "os.environ['TOKEN']",
        "raise KeyError(os.environ['TOKEN'])",
        '%sh echo "$TOKEN"; env',
        '%sh --live echo "$TOKEN" >&2',
        "%session run s env",
        "%session run s set -xv; true; set +xv; env",
        "%session run s --async env; sleep 0.2",
    ],
)
def test_outputs_hide_it(kernel: Driver, cell: str) -> None:
    give(kernel, VALUE)
    kernel.run("%session create s")
    answer = kernel.run(cell)
    printed = f"{answer.stdout}{answer.stderr}{shown(answer)}"
    kernel.run("%session delete s")
    assert "…" in printed
    assert START not in printed


@both_profiles
def test_it_stays_in_no_command_no_log_and_no_file(
    served: tuple[dict[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, root = served
    names = ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_DATA_DIR")
    folders = {each: str(tmp_path / each) for each in names}
    traces = Traces(environment, [root, tmp_path])
    manager = KernelManager(kernel_name="daytona")
    with run_kernel(manager, tmp_path, ["--debug"], **environment, **folders) as kernel:
        give(kernel, VALUE)
        kernel.run("%session create s\n%session create t")
        kernel.run("%sh true\n%sh --live true\n%session run s true\n%%code_run\n1")
        kernel.run("%session run s --async sleep 31")
        assert traces.of(START) == []
        # The places are really looked at.
        assert any(place.startswith("process") for place in traces.of("sleep 31"))
        assert any(place.startswith("command") for place in traces.of("sleep 31"))
        # A command that waits has its variables in a file, for itself alone.
        kernel.run("%session run s --async sleep 32")
        waiting = traces.of(START)
        assert {Path(place).name[-4:] for place in waiting} == {".env"}, waiting
        assert any(place.startswith("600 /") for place in waiting)
        kernel.run("%session delete s")
        assert traces.of(START) == []
        kernel.run("import os; os.environ['MINE'] = os.environ['TOKEN']\n%sh --live sleep 0; true")
        assert traces.of(START) == []
    assert START not in capsys.readouterr().err
    assert traces.of(START) == []


def test_it_is_listed_replaced_and_taken_away(kernel: Driver) -> None:
    none = kernel.run("%secret").contents("display_data")[0]["data"]["text/plain"]
    assert none == "There are no secrets; %secret NAME adds one."
    kernel.run("%session create s")
    give(kernel, VALUE)
    kernel.run("%session run s true")
    give(kernel, "another one")
    listed = kernel.run("%secret").contents("display_data")[0]["data"]["text/plain"]
    assert listed.split() == ["Name", "Given", "by", "In", "outputs", "TOKEN", "you", "hidden"]
    assert kernel.run("%session run s echo ${#TOKEN}\n%sh echo ${#TOKEN}").stdout == "11\n11\n"
    assert kernel.run("import os\n%secret --forget TOKEN\n'TOKEN' in os.environ").result == "False"
    assert kernel.run("%session run s echo ${TOKEN-gone}\n%sh echo ${TOKEN-gone}").stdout == "gone\ngone\n"
    # Of the session's own variable nothing is taken away, and outputs still hide the values.
    assert kernel.run("%session run s TOKEN=mine\n%session run s echo $TOKEN").stdout == "mine\n"
    assert "another one" not in kernel.run("'another' + ' one'").result
    assert "There is no secret 'TOKEN'" in failure(kernel, "%secret --forget TOKEN")[1]
    kernel.run("%session delete s")


def test_a_variable_that_a_cell_changes_is_the_cells(kernel: Driver) -> None:
    give(kernel, VALUE)
    kernel.run("os = __import__('os'); os.environ['TOKEN'] = 'mine'")
    assert kernel.run("%sh echo $TOKEN").stdout == "mine\n"
    kernel.run("del os.environ['TOKEN']")
    assert kernel.run("%sh echo ${TOKEN-gone}\n%sh --live echo ${TOKEN-gone}").stdout == "gone\ngone\n"


def test_where_nobody_can_be_asked_it_comes_from_the_environment(kernel: Driver) -> None:
    answer = kernel.run("%secret TOKEN", allow_stdin=False)
    assert answer.error["evalue"] == (
        "Nobody can be asked for TOKEN here, so it was not given to the sandbox. Set TOKEN in the "
        "environment where Jupyter starts, and write %secret TOKEN --from-env."
    )
    answer = kernel.run("%secret TOKEN_HERE --from-env\n%sh echo ${#TOKEN_HERE}", allow_stdin=False)
    assert answer.stdout.endswith("Outputs hide its value.\n16\n")
    assert kernel.run("os = __import__('os'); os.environ['TOKEN_HERE']").result == "'…hine'"
    kernel.run("%secret --forget TOKEN_HERE")
    assert "has no variable NONESUCH" in failure(kernel, "%secret NONESUCH --from-env")[1]


@pytest.mark.parametrize("name", ["DAYTONA_API_KEY", "DAYTONA_X", "COPY_OF_THE_KEY"])
def test_no_sandbox_gets_the_kernels_own_key(kernel: Driver, name: str) -> None:
    answer = kernel.run(f"%secret {name} --from-env", allow_stdin=False)
    assert "which no sandbox gets" in answer.error["evalue"]
    assert "There are no secrets" in shown(kernel.run("%secret"))


@pytest.mark.parametrize(
    ("value", "said", "printed"),
    [
        ("abc", "Outputs show its value: with fewer than 4 characters", "abc\n"),
        ("abcd", "Outputs hide its value.", "…\n"),
    ],
)
def test_a_value_that_is_too_short_is_not_hidden(kernel: Driver, value: str, said: str, printed: str) -> None:
    assert said in give(kernel, value).stdout
    assert kernel.run("%sh echo $TOKEN").stdout == printed


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%secret 2X", "is not the name of a variable"),
        ("%secret A-B", "is not the name of a variable"),
        ("%secret --from-env", "Name the variable"),
        ("%secret --forget", "Name the variable"),
        ("%secret X --forget --from-env", "Use one of"),
    ],
)
def test_a_wrong_line_changes_nothing(kernel: Driver, cell: str, said: str) -> None:
    ename, sentence = failure(kernel, cell)
    assert ename == "MagicUsageError"
    assert said in sentence


def test_no_answer_and_an_interrupt_change_nothing(kernel: Driver) -> None:
    assert give(kernel, "").error["evalue"] == "There was no answer, so TOKEN is as it was."
    msg_id = kernel.send("%secret TOKEN", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=DEADLINE)
    kernel.manager.interrupt_kernel()
    assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"
    assert kernel.run(SEEN).result == "False"


def test_the_next_interpreter_has_it(kernel: Driver) -> None:
    give(kernel, VALUE)
    kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert kernel.run(SEEN).result == "True"
    kernel.run("%sandbox stop")
    assert kernel.run(SEEN).result == "True"


def test_a_new_sandbox_has_it_and_an_attached_one_does_not(
    kernel: Driver, served: tuple[dict[str, str], Path]
) -> None:
    first = kernel.run("%sandbox keep").stdout.split("attach ")[1].split(" ")[0]
    give(kernel, VALUE)
    assert "secrets" not in kernel.run("%sandbox new").stdout
    assert kernel.run(SEEN).result == "True"
    moved = kernel.run(f"%sandbox attach {first}").stdout
    assert moved.endswith("This sandbox does not get your secrets (TOKEN): %secret NAME gives it one.\n")
    assert kernel.run(SEEN).result == "False"
    assert kernel.run("%sh echo ${TOKEN-gone}").stdout == "gone\n"
    kernel.run("%sandbox new")
    with Daytona(config(served[0])) as daytona:
        daytona.get(first).delete()


def test_a_restarted_kernel_has_none_and_takes_it_from_an_interpreter_that_it_finds(kernel: Driver) -> None:
    for end, now in ((signal.SIGKILL, True), (None, False)):
        give(kernel, VALUE)
        kernel.client.stop_channels()
        if end is not None:
            os.kill(kernel.pid, end)
        kernel.manager.restart_kernel(now=now)
        kernel.connect()
        assert kernel.run(SEEN).result == "False"
        assert kernel.run("%sh echo ${TOKEN-gone}").stdout == "gone\n"


def test_a_notebook_without_a_person_has_it_in_no_file(
    served: tuple[dict[str, str], Path], tmp_path: Path
) -> None:
    cells = ["%secret TOKEN --from-env", "import os; print(os.environ['TOKEN'])", "%sh echo $TOKEN >&2; env"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    path = tmp_path / "made.ipynb"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**served[0], "TOKEN": VALUE}.items():
            patch.setenv(name, value)
        NotebookClient(notebook, kernel_name="daytona", timeout=DEADLINE).execute()
    nbformat.write(notebook, path)
    assert "Outputs hide its value" in path.read_text()
    assert START not in path.read_text()


def test_the_embedded_server_has_no_secrets_of_an_account(kernel: Driver) -> None:
    ename, sentence = failure(kernel, "%secret TOKEN --account token")
    assert ename == "DaytonaNotFoundError"
    assert sentence.startswith("The server of this sandbox has no secrets of an account: Daytona has.")
    assert kernel.run(SEEN).result == "False"
