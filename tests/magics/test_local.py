"""`%%local`, `%put` and `%get`: off by default; the sandbox can send only data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, running_kernel, wait_until

from .conftest import assert_fails, failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    with running_kernel(DAYTONA_KERNEL_LOCAL="1") as driver:
        yield driver


def test_local_code_is_off_by_default() -> None:
    environment = {name: "" for name in ("DAYTONA_KERNEL_LOCAL",) if name in os.environ}
    with running_kernel(**environment) as kernel:
        for code in ("%%local\nx = 1", "%put x", "%get kept"):
            name, sentence = failure(kernel, code)
            assert name == "LocalCodeError"
            assert "start Jupyter with DAYTONA_KERNEL_LOCAL=1" in sentence


def test_a_cell_runs_in_the_kernels_own_process(kernel: Driver) -> None:
    kernel.run("x = 'remote'")
    answer = kernel.run("%%local\nimport os\nx = 'local'\nprint('printed')\nos.getpid()")
    assert answer.stdout == "printed\n"
    (shown,) = answer.contents("display_data")
    assert shown["data"]["text/plain"] == str(kernel.pid)
    assert kernel.run("x").result == "'remote'"
    assert kernel.run("%%local\nprint(x, end='')").stdout == "local"


def test_output_keeps_its_streams_and_can_be_captured(kernel: Driver) -> None:
    answer = kernel.run(
        "%%local\nimport sys, threading\nprint('out')\nprint('err', file=sys.stderr)\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\nx = 1;"
    )
    assert answer.stdout == "out\nthread\n"
    assert answer.stderr == "err\n"
    kernel.run("%%capture kept\n%%local\nprint('kept')")
    assert kernel.run("kept.stdout").result == r"'kept\n'"
    assert len(kernel.run("%%local\nfor n in range(3000): print(n)").stdout.splitlines()) == 3000


def test_rich_results_are_shown(kernel: Driver) -> None:
    answer = kernel.run("%%local\nimport pandas as pd\npd.DataFrame({'n': [1, 2]})")
    (shown,) = answer.contents("display_data")
    assert "<table" in shown["data"]["text/html"]
    assert not kernel.run("%%local\nNone").contents("display_data")


def test_an_error_shows_only_the_cells_own_lines(kernel: Driver) -> None:
    error = kernel.run("%%local\ndef half(n):\n    return n / 0\n\nhalf(1)").error
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    text = "\n".join(error["traceback"])
    assert "return n / 0" in text
    assert "half(1)" in text
    assert "local_code.py" not in text
    error = kernel.run("%%local\nx = = 1").error
    assert error["ename"] == "SyntaxError"
    assert "x = = 1" in "\n".join(error["traceback"])
    assert kernel.run("%%local\nraise SystemExit(3)").error["ename"] == "SystemExit"
    assert kernel.run("%%local\nprint('alive')").stdout == "alive\n"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe: opening it to read blocks, in a C function, until `release` opens it to write."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def release(gate: Path) -> None:
    gate.open("w").close()


def test_the_kernel_answers_while_local_code_runs(kernel: Driver, gate: Path) -> None:
    sent = kernel.send(f"%%local\nopen({str(gate)!r}).close()\nprint('done')")
    completion = kernel.request("complete_request", {"code": "%sessio", "cursor_pos": 7})
    assert "%session" in completion["matches"]
    release(gate)
    assert kernel.collect(sent).stdout == "done\n"


def test_an_interrupt_ends_python_code(kernel: Driver) -> None:
    answer, _ = kernel.interrupt_when_printed("%%local\nprint('go')\nwhile True: pass")
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert not answer.stderr


def test_an_interrupt_waits_for_a_c_function(kernel: Driver, gate: Path) -> None:
    code = f"%%local\nprint('go')\nopen({str(gate)!r}).close()\nprint('end')"
    answer, _ = kernel.interrupt_when_printed(code, pause=0.2)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert "cannot be interrupted" in answer.stderr
    name, sentence = failure(kernel, "%%local\n1")
    assert name == "LocalCodeError"
    assert "still runs" in sentence
    release(gate)
    wait_until(lambda: bool(kernel.run("%%local\nprint('free')").stdout), seconds=30)


VALUES = [
    "None",
    "[1, 2.5, 'a', True, {'k': [None]}]",
    "float('inf')",
    "10**40",
    "'ü\\ud800\\n'",
    "b'\\x00\\xff'",
    "{}",
]


@pytest.mark.parametrize("value", VALUES)
def test_values_go_there_and_back(kernel: Driver, value: str) -> None:
    kernel.run(f"%%local\nsent = {value}")
    assert kernel.run("%put sent").reply["status"] == "ok"
    assert kernel.run(f"sent == {value} and type(sent) is type({value})").result == "True"
    kernel.run("back, more = sent, 1")
    assert kernel.run("%get back more").reply["status"] == "ok"
    assert kernel.run("%%local\nprint(back == sent, more)").stdout == "True 1\n"


def test_tables_go_there_and_back(kernel: Driver) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    kernel.run(
        "%%local\nimport pandas as pd\n"
        "df = pd.DataFrame({'n': [1, 2], 't': pd.to_datetime(['2020-01-01', None])}, index=['a', 'b'])"
    )
    answer = kernel.run("%put df")
    assert answer.reply["status"] == "ok", answer.error
    assert kernel.run("type(df).__module__.split('.')[0], df.n.sum(), list(df.index)").result.startswith(
        "('pandas'"
    )
    kernel.run("import pyarrow as pa\ndf2 = df; df2['m'] = df2.n * 2; table = pa.table({'x': [1, 2, 3]})")
    kernel.run("%get df2 table")
    assert (
        kernel.run("%%local\nprint(df2.m.tolist(), df2.t.dtype.kind, table.num_rows)").stdout
        == "[2, 4] M 3\n"
    )


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("%put nothing_here", "DaytonaError", "%%local has no variable 'nothing_here'"),
        ("%get nothing_here", "DaytonaError", "there is no such variable in the sandbox"),
        ("%get odd", "DaytonaError", "complex has no safe form"),
        ("%get pair", "DaytonaError", "tuple has no safe form"),
        ("%get keys", "DaytonaError", "a dict with keys that are not strings"),
        ("%get loop", "DaytonaError", "it contains itself"),
        ("%get big", "DaytonaError", "use %upload and %download for larger data"),
        ("%put local_odd", "DaytonaError", "object has no safe form"),
        ("%put", "MagicUsageError", "NAME is missing"),
        ("%get --all", "MagicUsageError", "Unknown option --all"),
        ("%%local now\n1", "MagicUsageError", "Too many arguments"),
        ("%local", "MagicUsageError", "is a cell magic"),
    ],
)
def test_a_wrong_cell_gives_one_sentence_and_keeps_the_variables(
    kernel: Driver, code: str, name: str, words: str
) -> None:
    kernel.run("odd, pair, keys, loop, big = 1j, (1, 2), {1: 2}, [], bytes(60_000_000)\nloop.append(loop)")
    kernel.run("%%local\nlocal_odd = object()")
    assert_fails(kernel, code, name, words)


def test_data_from_a_sandbox_is_never_run(kernel: Driver) -> None:
    kernel.run(
        "class Evil(dict):\n    def __reduce__(self):\n        return print, ('run',)\nevil = Evil(a=1)\n"
        "class Text(str): pass\ntext = Text('t')"
    )
    kernel.run("%get evil text")
    assert kernel.run("%%local\nprint(type(evil), type(text))").stdout == "<class 'dict'> <class 'str'>\n"
