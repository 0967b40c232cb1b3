"""`%%local`, `%put` and `%get`: refused unless enabled, and then apart from everything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.driver import Driver, running_kernel

from .conftest import failure


@pytest.fixture(scope="module")
def enabled() -> Iterator[Driver]:
    with running_kernel(DAYTONA_KERNEL_LOCAL="1") as driver:
        yield driver


@pytest.mark.parametrize("code", ["%%local\n1", "%put x", "%get x"])
def test_it_is_refused_unless_enabled(kernel: Driver, code: str) -> None:
    ename, sentence = failure(kernel, code)
    assert ename == "MagicUsageError"
    assert "set DAYTONA_KERNEL_LOCAL=1 before the kernel starts" in sentence


def test_a_local_cell_runs_in_the_kernels_process(enabled: Driver) -> None:
    assert enabled.run("%%local\nimport os\nprint('said')\nos.getpid()").stdout == "said\n"
    (shown,) = enabled.run("%%local\nos.getpid()").contents("display_data")
    assert shown["data"]["text/plain"] == str(enabled.pid)
    assert enabled.run("import os; os.getpid()").result != str(enabled.pid)


def test_its_variables_are_apart(enabled: Driver) -> None:
    enabled.run("%%local\nhere = 1")
    enabled.run("there = 2")
    assert enabled.run("here").error["ename"] == "NameError"
    answer = enabled.run("%%local\nthere")
    assert answer.error["evalue"] == "NameError: name 'there' is not defined"
    assert "line 1, in <module>" in answer.stderr
    assert "local.py" not in answer.stderr


def test_values_are_carried_both_ways(enabled: Driver) -> None:
    enabled.run("%%local\nimport pandas as pd\nd = {'a': [1, 2.5, None, 'é']}\nb = b'\\x00\\xff' * 100_000")
    enabled.run("%%local\nframe = pd.DataFrame({'n': [1, 2]}, index=['x', 'y'])")
    for name in ("d", "b", "frame"):
        assert enabled.run(f"%put {name}").reply["status"] == "ok"
    assert enabled.run("d, b == b'\\x00\\xff' * 100_000").result == "({'a': [1, 2.5, None, 'é']}, True)"
    assert enabled.run("frame.loc['y', 'n'], type(frame).__name__").result == "(np.int64(2), 'DataFrame')"
    enabled.run("d['a'].append('back'); frame['m'] = 3")
    enabled.run("%get d\n%get frame")
    (shown,) = enabled.run("%%local\nd['a'][-1], list(frame.columns)").contents("display_data")
    assert shown["data"]["text/plain"] == "('back', ['n', 'm'])"


def test_an_interrupt_stops_a_local_cell(enabled: Driver) -> None:
    code = "%%local\nimport time\nprint('go')\nwhile True:\n    time.sleep(0.01)"
    answer, seconds = enabled.interrupt_when_printed(code)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert "goes on" not in answer.stderr
    assert seconds < 10
    assert enabled.run("%%local\nprint('alive')").stdout == "alive\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("%put nothing", "has no variable 'nothing'"),
        ("%get nothing_there", "no variable 'nothing_there' in the sandbox"),
        ("%get no-name", "the name of a variable"),
        ("%put", "NAME is missing"),
        ("%local 1", "begin the cell with it"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(enabled: Driver, code: str, words: str) -> None:
    assert words in failure(enabled, code)[1]


def test_what_has_no_safe_form_stays_where_it_is(enabled: Driver) -> None:
    enabled.run("thing = object()")
    assert "thing is a object" in failure(enabled, "%get thing")[1]
    enabled.run("%%local\nlock = print")
    assert "no safe form" in failure(enabled, "%put lock")[1]
