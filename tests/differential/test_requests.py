"""Requests that notebooks cannot send, compared with ipykernel.

A scenario is played with one kernel and then with the other. The normalized results must be equal.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.driver import DEADLINE, Answer, Driver, running_kernel

from .both import Both, send_behind_a_failing_cell, shown
from .execution import KERNELS

# The tests of this file and of `test_prompts_and_late_output` share a pair of kernels.
pytestmark = pytest.mark.xdist_group("requests to both kernels")

# Executions


def test_a_silent_execution_does_not_change_the_execution_count(both: Both) -> None:
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


def test_an_execution_without_store_history_is_not_in_the_history(both: Both) -> None:
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
def test_cells_without_code_change_the_execution_count_equally(both: Both, code: str) -> None:
    both.same(lambda driver: [driver.run(code), driver.run("get_ipython().execution_count")])


def test_user_expressions_are_in_the_reply(both: Both) -> None:
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
def test_stop_on_error_decides_whether_a_failed_cell_aborts_the_queue(both: Both, stop: bool) -> None:
    def scenario(driver: Driver) -> list[Answer]:
        def send() -> list[str]:
            return [driver.send(code, stop_on_error=stop) for code in ("print('second')", "3")]

        ids = send_behind_a_failing_cell(driver, send, stop_on_error=stop)
        answers = [driver.collect(msg_id) for msg_id in ids]
        return [*answers, driver.run("'after'")]

    answers = both.same(scenario)
    expected = "aborted" if stop else "ok"
    assert [a["reply"]["status"] for a in answers] == ["error", expected, expected, "ok"]


def test_a_silent_failure_does_not_abort_the_queue(both: Both) -> None:
    def scenario(driver: Driver) -> list[Answer]:
        ids = send_behind_a_failing_cell(driver, lambda: [driver.send("'second'")], silent=True)
        return [driver.collect(msg_id) for msg_id in ids]

    assert [a["reply"]["status"] for a in both.same(scenario)] == ["error", "ok"]


def test_an_abort_does_not_affect_other_requests_and_later_cells(both: Both) -> None:
    """Requests between the aborted cells are answered, and a cell after the `idle` runs."""

    def scenario(driver: Driver) -> list[Any]:
        def send() -> list[str]:
            complete = driver.send_message("complete_request", {"code": "pri", "cursor_pos": 3})
            return [complete, driver.send("print('never')")]

        failing, complete, aborted = send_behind_a_failing_cell(driver, send)
        return [
            driver.reply(failing)["status"],
            "print" in driver.reply(complete).get("matches", []),
            driver.reply(aborted)["status"],
            driver.run("4"),
        ]

    assert both.same(scenario)[:3] == ["error", True, "aborted"]


def test_the_id_of_a_cell_reaches_the_interpreter(both: Both) -> None:
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


# Other requests


def test_the_control_channel_answers_shell_requests(both: Both) -> None:
    code = {"code": "known_na", "cursor_pos": 8, "detail_level": 0}

    def completion(driver: Driver) -> Any:
        driver.run("known_name = 1", silent=True)
        return driver.request("complete_request", code, "control")["matches"]

    def scenario(driver: Driver) -> list[Any]:
        executed = driver.request("execute_request", {"code": "known_name + 1"}, "control")
        failed = driver.request("execute_request", {"code": "1 / 0"}, "control")
        asked = [
            driver.request(each, content, "control")
            for each, content in (
                ("inspect_request", {**code, "code": "known_name"}),
                ("is_complete_request", {"code": "if x:"}),
                ("history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}),
                ("comm_info_request", {}),
            )
        ]
        replies = [{key: each[key] for key in ("status", "execution_count")} for each in (executed, failed)]
        return [*replies, failed["ename"], *asked, driver.run("2")]

    # The first completion of an interpreter may come too late; see test_completions.
    assert both.same(completion, within=DEADLINE) == ["known_name"]
    assert [each["status"] for each in both.same(scenario)[:2]] == ["ok", "error"]


@pytest.mark.parametrize(
    ("code", "cursor"),
    [("pri", 3), ("import o", 8), ("'a'.spl", 7), ("%time", 5), ("known_na", 8), ("known_name['k", 13),
     ("open('fil", 9), ("\U0001f600 = known_", 10)],
)  # fmt: skip
def test_completions(both: Both, code: str, cursor: int) -> None:
    """Both are equal when Jedi has read its files. Until then, each answers in time without all of it."""

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


def test_kernel_info_describes_the_same_interpreter(both: Both) -> None:
    def scenario(driver: Driver) -> Any:
        info = driver.request("kernel_info_request", {})
        return [info["language_info"], info["status"], sorted(info["supported_features"])]

    language, status, _ = both.same(scenario)
    assert (language["name"], status) == ("python", "ok")


def test_comms_are_listed_and_receive_messages(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        opened = driver.run(
            "from comm import create_comm, get_comm_manager\n"
            "comm = create_comm('target_1')\n"
            "comm.on_msg(lambda message: print('received', message['content']['data']))\n"
            "comm.on_close(lambda message: print('closed'))"
        )
        comm_id = opened.contents("comm_open")[0]["comm_id"]
        listed = driver.request("comm_info_request", {"target_name": "target_1"})
        answers = []
        for msg_type in ("comm_msg", "comm_close", "comm_msg"):
            msg_id = driver.send_message(msg_type, {"comm_id": comm_id, "data": {"n": 1}})
            answers.append(shown(driver, msg_id))
        return [listed, *answers, driver.request("comm_info_request", {"target_name": "target_1"})]

    listed, received, *_ = both.same(scenario)
    assert len(listed["comms"]) == 1
    assert "received {'n': 1}" in str(received)


def test_a_comm_with_an_unknown_target_is_closed(both: Both) -> None:
    def scenario(driver: Driver) -> Answer:
        content = {"comm_id": "c" * 32, "target_name": "none", "data": {}}
        messages = shown(driver, driver.send_message("comm_open", content)).messages
        # The message on stderr contains the time.
        return Answer([m for m in messages if m["msg_type"] != "stream"])

    assert "comm_close" in str(both.same(scenario))


def test_cells_with_kernel_magics_are_counted_like_other_cells(both: Both) -> None:
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


def test_messages_with_missing_keys_do_not_end_the_kernel(both: Both) -> None:
    def scenario(driver: Driver) -> Answer:
        driver.send_message("execute_request", {"silent": False})
        driver.send_message("no_such_request", {})
        return driver.run("'alive'")

    assert "alive" in str(both.same(scenario))


# Large messages, and exit


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


def test_exit_sends_the_same_payload() -> None:
    """Only the last one asks the front end to end the kernel."""
    payloads = []
    for name in KERNELS:
        with running_kernel(name) as driver:
            codes = ("exit(True)", "quit(True)", "exit")
            payloads.append([driver.run(code).reply["payload"] for code in codes])
    assert payloads[0] == payloads[1]
    assert [(each["source"], each["keepkernel"]) for (each,) in payloads[0]] == [
        ("ask_exit", True), ("ask_exit", True), ("ask_exit", False),
    ]  # fmt: skip
