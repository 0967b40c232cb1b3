"""What notebooks cannot show, compared with ipykernel in the same way: requests, prompts, late output.

A scenario is played with one kernel and then the other; what it returns must be equal, once it is normal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, chdir, contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.kernel.driver import DEADLINE, Answer, Driver, running_kernel

from .execution import KERNELS
from .normalisation import Normaliser, merged_messages
from .report import difference

Scenario = Callable[[Driver], Any]


class Both:
    """Both kernels, with the places that are each one's own. After a failure they are no longer equal."""

    def __init__(self, drivers: list[Driver]) -> None:
        self._drivers = drivers
        self._places = []
        self.equal = True
        for driver in drivers:
            cwd = driver.run("import os; print(os.getcwd(), end='')").stdout
            home = driver.run("print(os.environ['HOME'], end='')").stdout
            self._places.append({cwd: "<cwd>", home: "<home>"})

    def same(self, scenario: Scenario, within: float = 0.0) -> Any:
        """Play the scenario with both, check that they are equal, and return what ipykernel gave.

        within: seconds in which daytona may play it again until it is equal; then it must not count a cell.
        """
        self.equal = False
        deadline = time.monotonic() + within
        ipykernel, daytona = self._play(0, scenario), self._play(1, scenario)
        while daytona != ipykernel and time.monotonic() < deadline:
            daytona = self._play(1, scenario)
        assert ipykernel == daytona, difference(ipykernel, daytona)
        self.equal = True
        return ipykernel

    def _play(self, index: int, scenario: Scenario) -> Any:
        return Normaliser(self._places[index]).value(_plain(scenario(self._drivers[index])))


@contextmanager
def running_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with ExitStack() as running:
        drivers = []
        for name in KERNELS:
            home = tmp_path_factory.mktemp(name)
            environment = {"HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
            with chdir(tmp_path_factory.mktemp("work")):
                drivers.append(running.enter_context(running_kernel(name, **environment)))
        yield Both(drivers)


class Shared:
    """The kernels that the tests share, as long as they are equal."""

    def __init__(self, start: Callable[[], AbstractContextManager[Both]]) -> None:
        self._start = start
        self._running = ExitStack()
        self._both: Both | None = None

    def both(self) -> Both:
        """Return them, fresh ones if the last test has set them apart."""
        if self._both is None or not self._both.equal:
            self.close()
            self._both = self._running.enter_context(self._start())
        return self._both

    def close(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(lambda: running_both(tmp_path_factory))
    yield shared
    shared.close()


@pytest.fixture
def both(shared: Shared) -> Both:
    return shared.both()


def _plain(value: Any) -> Any:
    if isinstance(value, Answer):
        return asdict(Answer(merged_messages(value.messages), value.reply))
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def shown(driver: Driver, msg_id: str) -> Answer:
    """What a request brings on iopub, until the kernel is idle."""
    answer = Answer()
    deadline = time.monotonic() + DEADLINE
    while not answer.messages or answer.messages[-1]["content"].get("execution_state") != "idle":
        message = driver.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
        if message["parent_header"].get("msg_id") == msg_id:
            answer.messages.append(message)
    return answer


def asked(driver: Driver, code: str, answers: list[str]) -> dict[str, Any]:
    """Run a cell that asks, and answer it; return the prompts and what the cell brought."""
    msg_id = driver.send(code, allow_stdin=True)
    prompts = []
    for answer in answers:
        prompts.append(driver.client.get_stdin_msg(timeout=DEADLINE)["content"])
        driver.client.input(answer)
    return {"prompts": prompts, "answer": driver.collect(msg_id)}


def send_behind_a_failing_cell(driver: Driver, send: Callable[[], list[str]], **options: Any) -> list[str]:
    """Have requests wait behind a cell that then fails; return the ids of all. send: sends them."""
    failing = driver.send("input('fail? ')\n1 / 0", allow_stdin=True, **options)
    driver.client.get_stdin_msg(timeout=DEADLINE)
    ids = send()
    driver.client.input("yes")
    return [failing, *ids]


def placed(driver: Driver, cells: list[str], last: str) -> list[list[Any]]:
    """Run cells, wait until the text `last` was printed, and return the printed texts by cell and stream."""
    parents: dict[str, int] = {}
    for code in cells:
        parents[driver.send(code)] = len(parents)
        driver.client.get_shell_msg(timeout=DEADLINE)
    texts: dict[tuple[int, str], str] = {}
    deadline = time.monotonic() + DEADLINE
    while not any(last in text for text in texts.values()):
        message = driver.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
        cell = parents.get(message["parent_header"].get("msg_id"))
        if message["msg_type"] == "stream" and cell is not None:
            key = (cell, message["content"]["name"])
            texts[key] = texts.get(key, "") + message["content"]["text"]
    return [[*key, text] for key, text in sorted(texts.items())]


# How a cell is run


def test_a_silent_execution_does_not_count(both: Both) -> None:
    def scenario(driver: Driver) -> list[Answer]:
        return [
            driver.run("x = 1; print('printed'); display('shown'); x", silent=True),
            driver.run("1 / 0", silent=True),
            driver.run("x"),
        ]

    silent, failed, after = both.same(scenario)
    assert "execute_input" not in [m["msg_type"] for m in silent["messages"]]
    assert failed["reply"]["status"] == "error"
    assert after["reply"]["status"] == "ok"


def test_an_execution_that_is_not_stored_has_no_history(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        return [
            driver.run("'unstored'", store_history=False),
            driver.run("In[-1], _"),
            driver.run("", store_history=False),
            driver.run("%history -l 2"),
        ]

    unstored, *_ = both.same(scenario)
    assert "execute_result" in [m["msg_type"] for m in unstored["messages"]]


@pytest.mark.parametrize("code", ["", "   ", "\n\n", "# a comment", "pass"])
def test_cells_without_code_count_as_they_do(both: Both, code: str) -> None:
    both.same(lambda driver: [driver.run(code), driver.run("get_ipython().execution_count")])


def test_user_expressions_come_with_the_reply(both: Both) -> None:
    expressions = {
        "sum": "1 + 1",
        "html": "__import__('IPython').display.HTML('<b>x</b>')",
        "wrong": "1 / 0",
        "syntax": "1 +",
        "text": "'é'",
    }
    answer = both.same(lambda driver: driver.run("y = 2", user_expressions=expressions))
    assert answer["reply"]["user_expressions"]["sum"]["data"] == {"text/plain": "2"}
    assert answer["reply"]["user_expressions"]["wrong"]["ename"] == "ZeroDivisionError"
    failed = both.same(lambda driver: driver.run("1 / 0", user_expressions=expressions))
    assert failed["reply"]["user_expressions"] == {}


@pytest.mark.parametrize("stop", [True, False])
def test_a_failed_cell_aborts_the_queue_or_does_not(both: Both, stop: bool) -> None:
    def scenario(driver: Driver) -> list[Answer]:
        def send() -> list[str]:
            return [driver.send(code, stop_on_error=stop) for code in ("print('second')", "3")]

        ids = send_behind_a_failing_cell(driver, send, stop_on_error=stop)
        answers = [driver.collect(msg_id) for msg_id in ids]
        return [*answers, driver.run("'after'")]

    answers = both.same(scenario)
    expected = "aborted" if stop else "ok"
    assert [a["reply"]["status"] for a in answers] == ["error", expected, expected, "ok"]


def test_a_silent_failure_aborts_nothing(both: Both) -> None:
    def scenario(driver: Driver) -> list[Answer]:
        ids = send_behind_a_failing_cell(driver, lambda: [driver.send("'second'")], silent=True)
        return [driver.collect(msg_id) for msg_id in ids]

    assert [a["reply"]["status"] for a in both.same(scenario)] == ["error", "ok"]


def test_what_an_abort_leaves_alone(both: Both) -> None:
    """Requests between the aborted cells are answered, and what comes after the idle runs."""

    def scenario(driver: Driver) -> list[Any]:
        def send() -> list[str]:
            complete = driver.send_message("complete_request", {"code": "pri", "cursor_pos": 3})
            return [complete, driver.send("print('never')")]

        failing, complete, aborted = send_behind_a_failing_cell(driver, send)
        replies: dict[str, Any] = {}
        while len(replies) < 3:
            reply = driver.client.get_shell_msg(timeout=DEADLINE)
            replies[reply["parent_header"]["msg_id"]] = reply["content"]
        return [
            replies[failing]["status"],
            "print" in replies[complete].get("matches", []),
            replies[aborted]["status"],
            driver.run("4"),
        ]

    assert both.same(scenario)[:3] == ["error", True, "aborted"]


def test_the_cells_id_reaches_the_interpreter(both: Both) -> None:
    def scenario(driver: Driver) -> Answer:
        driver.run("seen = []\nnote = lambda info: seen.append(info.cell_id)")
        driver.run("get_ipython().events.register('pre_run_cell', note)")
        content = {"code": "seen[-1]", "silent": False, "store_history": True, "user_expressions": {}}
        message = driver.client.session.msg("execute_request", content, metadata={"cellId": "the-cell"})
        driver.client.shell_channel.send(message)
        answer = driver.collect(message["header"]["msg_id"])
        driver.run("get_ipython().events.unregister('pre_run_cell', note)")
        return answer

    answer = both.same(scenario)
    assert "the-cell" in str(answer["messages"])


# What a cell asks


def test_input_and_getpass(both: Both) -> None:
    code = "import getpass\n[input('name: '), getpass.getpass('key: '), input()]"
    result = both.same(lambda driver: asked(driver, code, ["Ada", "secret", ""]))
    assert [p["password"] for p in result["prompts"]] == [False, True, False]
    assert "['Ada', 'secret', '']" in str(result["answer"])


def test_input_in_a_loop_with_output_between(both: Both) -> None:
    code = "for n in range(3):\n    print('got', input(f'{n}? '))"
    result = both.same(lambda driver: asked(driver, code, ["a", "é", "x" * 5000]))
    assert "got é" in str(result["answer"])


def test_a_debugger_after_the_error(both: Both) -> None:
    failing = "def half(n):\n    divisor = 0\n    return n / divisor\nhalf(3)"

    def scenario(driver: Driver) -> list[Any]:
        return [driver.run(failing), asked(driver, "%debug", ["p n, divisor", "up", "where", "list", "q"])]

    _, debugged = both.same(scenario)
    assert "(3, 0)" in str(debugged)
    assert debugged["prompts"][0]["prompt"] == "ipdb> "


def test_a_breakpoint_in_a_cell(both: Both) -> None:
    code = "import pdb\ntotal = 0\nfor n in range(3):\n    pdb.set_trace()\n    total += n\ntotal"
    answers = ["p n", "next", "p total", "!n = 100", "c", "c", "c"]
    result = both.same(lambda driver: asked(driver, code, answers))
    assert "execute_result" in str(result["answer"])


def test_a_breakpoint_for_a_debugger_that_is_not_there(both: Both) -> None:
    result = both.same(lambda driver: asked(driver, "breakpoint()\nprint('reached')", []))
    assert "reached" in str(result)


def test_pdb_switched_on_for_every_error(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        return [driver.run("%pdb on"), asked(driver, "1 / 0", ["q"]), driver.run("%pdb off")]

    both.same(scenario)


def test_leaving_a_breakpoint_with_quit(both: Both) -> None:
    code = "import pdb; pdb.set_trace()\nprint('never')"
    both.same(lambda driver: [asked(driver, code, ["q"]), driver.run("1")])


def test_a_script_in_the_debugger(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        driver.run("open('debugged.py', 'w').write('x = 5\\nprint(x)\\n')")
        return [asked(driver, "%run -d debugged.py", ["n", "p x", "c"])]

    assert "5" in str(both.same(scenario))


def test_two_front_ends_see_all_output_and_their_own_prompts(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        # With a message session of its own, as another page has.
        other = BlockingKernelClient(connection_file=driver.manager.connection_file)
        other.load_connection_file()
        other.start_channels()
        try:
            other.wait_for_ready(timeout=DEADLINE)
            msg_id = other.execute("print(input('who? '))", allow_stdin=True)
            prompt = other.get_stdin_msg(timeout=DEADLINE)["content"]
            asked_too = driver.client.stdin_channel.msg_ready()
            other.input("the other")
            seen = shown(driver, msg_id)
            reply = other.get_shell_msg(timeout=DEADLINE)["content"]
            return [prompt, asked_too, seen, reply, driver.run("'mine'")]
        finally:
            other.stop_channels()

    prompt, asked_too, seen, *_ = both.same(scenario)
    assert (prompt["prompt"], asked_too) == ("who? ", False)
    assert "the other" in str(seen)


# Where late output goes


def test_a_thread_prints_after_its_cell_has_ended(both: Both) -> None:
    cells = [
        "import threading; go = threading.Event()\n"
        "def late():\n    go.wait(); print('from the first cell')\n"
        "thread = threading.Thread(target=late); thread.start()",
        "print('second'); go.set(); thread.join()",
        "print('third')",
    ]
    texts = both.same(lambda driver: placed(driver, cells, "third"))
    assert "from the first cell" in str(texts)


def test_a_timer_prints_when_no_cell_runs(both: Both) -> None:
    cells = ["import threading; threading.Timer(0.3, print, ['by the timer']).start()", "print('second')"]
    texts = both.same(lambda driver: placed(driver, cells, "by the timer"))
    assert "by the timer" in str(texts)


def test_a_task_prints_when_its_cell_has_ended(both: Both) -> None:
    cells = [
        "import asyncio\nasync def later():\n    await asyncio.sleep(0.3); print('by the task')\n"
        "task = asyncio.ensure_future(later())",
        "print('second')",
    ]
    both.same(lambda driver: placed(driver, cells, "by the task"))


def test_a_child_prints_while_a_later_cell_is_the_last(both: Both) -> None:
    cells = [
        "import subprocess\nfrom pathlib import Path\nPath('go').unlink(missing_ok=True)\n"
        "child = subprocess.Popen('until [ -e go ]; do sleep 0.02; done; echo by the child', shell=True)",
        "print('second'); Path('go').touch(); child.wait();",
    ]
    texts = both.same(lambda driver: placed(driver, cells, "by the child"))
    assert "by the child" in texts[-1][2]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.write(1, b'to the descriptor\\n');",
        "import os; os.write(2, b'to the descriptor\\n');",
        "import os; os.system('echo to the descriptor');",
        "import subprocess; subprocess.run(['echo', 'to the descriptor']);",
        "import subprocess; subprocess.run('echo to the descriptor >&2', shell=True);",
        "import sys; print('to the descriptor', file=sys.__stderr__, flush=True)",
        "import ctypes; c = ctypes.CDLL(None); c.puts(b'to the descriptor'); c.fflush(None);",
        "import os; os.write(1, 'é to the descriptor 😀\\n'.encode());",
        "import os; os.write(1, b'\\xff not UTF-8, to the descriptor\\n');",
    ],
)
def test_what_is_written_to_file_descriptors(both: Both, code: str) -> None:
    texts = both.same(lambda driver: placed(driver, [code], "to the descriptor"))
    assert [cell for cell, _, _ in texts] == [0]


def test_a_lone_surrogate_that_is_printed_harms_nothing_else(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        # What is lost with it, and how ipykernel complains, depends on the moment.
        return [driver.run("print('\\ud800')").reply["status"], driver.run("print('after')").stdout]

    assert both.same(scenario) == ["ok", "after\n"]


# What else a front end requests


@pytest.mark.parametrize(
    ("code", "cursor"),
    [("pri", 3), ("import o", 8), ("'a'.spl", 7), ("%time", 5), ("known_na", 8), ("known_name['k", 13),
     ("open('fil", 9), ("\U0001f600 = known_", 10)],
)  # fmt: skip
def test_completions(both: Both, code: str, cursor: int) -> None:
    """Equal as soon as Jedi has read what it needs: until then daytona answers without it, in time."""

    def scenario(driver: Driver) -> Any:
        driver.run("known_name = {'key': 1}; open('file_here', 'w').close()", silent=True)
        return driver.request("complete_request", {"code": code, "cursor_pos": cursor})

    assert both.same(scenario, within=DEADLINE)["status"] == "ok"


@pytest.mark.parametrize("detail", [0, 1])
@pytest.mark.parametrize("name", ["print", "documented", "documented.attribute", "nowhere", "%time"])
def test_inspections(both: Both, name: str, detail: int) -> None:
    def scenario(driver: Driver) -> Any:
        driver.run("def documented(a, b=1):\n    'A text.'\n    return a\ndocumented.attribute = [1]")
        content = {"code": name, "cursor_pos": len(name), "detail_level": detail}
        return driver.request("inspect_request", content)

    assert both.same(scenario)["status"] == "ok"


@pytest.mark.parametrize(
    "code", ["1", "for i in x:", "def f():\n  pass", "'''open", "(1,", "import = 1", "%time", "%%c\nx", "\\"]
)
def test_completeness(both: Both, code: str) -> None:
    both.same(lambda driver: driver.request("is_complete_request", {"code": code}))


@pytest.mark.parametrize(
    "content",
    [
        {"hist_access_type": "tail", "n": 3, "output": False, "raw": True},
        {"hist_access_type": "tail", "n": 2, "output": True, "raw": False},
        {"hist_access_type": "search", "pattern": "*remembered*", "n": 5, "output": False, "raw": True},
        {"hist_access_type": "search", "pattern": "*remem*", "unique": True, "output": False, "raw": True},
        {"hist_access_type": "range", "session": 0, "start": 1, "stop": 3, "output": False, "raw": True},
    ],
)  # fmt: skip
def test_history(both: Both, content: dict[str, Any]) -> None:
    def scenario(driver: Driver) -> Any:
        driver.run("'remembered'")
        driver.run("'remembered'")
        return driver.request("history_request", content)

    assert both.same(scenario)["history"]


def test_the_interpreter_is_told_of_in_the_same_words(both: Both) -> None:
    def scenario(driver: Driver) -> Any:
        info = driver.request("kernel_info_request", {})
        return [info["language_info"], info["status"], sorted(info["supported_features"])]

    language, status, _ = both.same(scenario)
    assert (language["name"], status) == ("python", "ok")


def test_comms_are_listed_and_spoken_to(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        opened = driver.run(
            "from comm import create_comm, get_comm_manager\n"
            "comm = create_comm('told')\n"
            "comm.on_msg(lambda message: print('told', message['content']['data']))\n"
            "comm.on_close(lambda message: print('closed'))"
        )
        comm_id = opened.contents("comm_open")[0]["comm_id"]
        listed = driver.request("comm_info_request", {"target_name": "told"})
        answers = []
        for msg_type in ("comm_msg", "comm_close", "comm_msg"):
            msg_id = driver.send_message(msg_type, {"comm_id": comm_id, "data": {"n": 1}})
            answers.append(shown(driver, msg_id))
        return [listed, *answers, driver.request("comm_info_request", {"target_name": "told"})]

    listed, told, *_ = both.same(scenario)
    assert len(listed["comms"]) == 1
    assert "told {'n': 1}" in str(told)


def test_a_comm_of_an_unknown_target_is_closed(both: Both) -> None:
    def scenario(driver: Driver) -> Answer:
        content = {"comm_id": "c" * 32, "target_name": "none", "data": {}}
        messages = shown(driver, driver.send_message("comm_open", content)).messages
        # The complaint on stderr names the time.
        return Answer([m for m in messages if m["msg_type"] != "stream"])

    assert "comm_close" in str(both.same(scenario))


def test_cells_of_the_kernels_own_magics_count_like_any_other(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        own = driver.manager.kernel_name == "daytona"
        line, cell = ("%sh", "%%sh") if own else ("!", "%%bash")
        counts = []
        for code in ("1", f"{line} true", f"{cell}\ntrue", f"x = 1\n{line} true", "2", "len(In)"):
            answer = driver.run(code)
            counts.append(answer.contents("execute_input")[0]["execution_count"])
            assert answer.reply["execution_count"] == counts[-1]
        return [[count - counts[0] for count in counts], answer.result == str(counts[-1] + 1)]

    assert both.same(scenario) == [[0, 1, 2, 3, 4, 5], True]


def test_messages_that_want_a_key_do_not_end_the_kernel(both: Both) -> None:
    def scenario(driver: Driver) -> Answer:
        driver.send_message("execute_request", {"silent": False})
        driver.send_message("no_such_request", {})
        return driver.run("'alive'")

    assert "alive" in str(both.same(scenario))


# What is large, and what is last


def test_a_cell_of_megabytes(both: Both) -> None:
    code = f"long = '''{'é' * 1_000_000}'''\nlen(long)"

    def scenario(driver: Driver) -> list[Any]:
        answer = driver.run(code, store_history=False)
        return [answer.result, answer.reply["status"], driver.run("1")]

    assert both.same(scenario)[:2] == ["1000000", "ok"]


def test_a_large_buffer_reaches_the_interpreter(both: Both) -> None:
    def scenario(driver: Driver) -> str:
        opened = driver.run(
            "from comm import create_comm\nimport hashlib\ngot = []\n"
            "comm = create_comm('large')\ncomm.on_msg(lambda message: got.append(message['buffers']))"
        )
        comm_id = opened.contents("comm_open")[0]["comm_id"]
        message = driver.client.session.msg("comm_msg", {"comm_id": comm_id, "data": {}})
        buffers = [b"\x00\xff" * 2_000_000, b"", b"small"]
        driver.client.session.send(driver.client.shell_channel.socket, message, buffers=buffers)
        return driver.run("[(len(b), hashlib.sha256(b).hexdigest()) for b in got[0]]").result

    assert "4000000" in both.same(scenario)


@pytest.mark.parametrize("code", ["exit", "quit()", "exit(True)"])
def test_leaving_by_exit_is_asked_for_in_the_same_words(code: str) -> None:
    payloads = []
    for name in KERNELS:
        with running_kernel(name) as driver:
            driver.run("x = 1")
            payloads.append(driver.run(code).reply["payload"])
    assert payloads[0] == payloads[1]
    assert payloads[0][0]["source"] == "ask_exit"
