"""Introspection requests: the live interpreter answers them in time, also while a cell runs."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from daytona_kernel.kernel.relay import introspection

from .driver import DEADLINE, Driver, running_kernel, sleeps_of, wait_until


def complete(kernel: Driver, code: str) -> dict[str, Any]:
    return kernel.request("complete_request", {"code": code, "cursor_pos": len(code)})


def inspect(kernel: Driver, code: str, detail_level: int = 0) -> dict[str, Any]:
    content = {"code": code, "cursor_pos": len(code), "detail_level": detail_level}
    return kernel.request("inspect_request", content)


def history(kernel: Driver, **content: Any) -> list[tuple[int, str]]:
    """Return the entries as (line number, source)."""
    reply = kernel.request("history_request", {"output": False, "raw": True, **content})
    assert reply["status"] == "ok"
    return [(line, source) for _, line, source in reply["history"]]


def test_completion_knows_the_live_objects_and_their_types(kernel: Driver) -> None:
    kernel.run("class Boat:\n    def sail(self, knots): 'Go.'\n    masts = 3\nboat = Boat()")

    def typed() -> bool:
        # Until Jedi has read its files, the names come without their types.
        reply = complete(kernel, "boat.")
        assert {"sail", "masts"} <= set(reply["matches"])
        assert (reply["cursor_start"], reply["cursor_end"]) == (5, 5)
        types = {each["text"]: each for each in reply["metadata"]["_jupyter_types_experimental"]}
        return types["sail"]["type"] == "function" and "knots" in types["sail"]["signature"]

    wait_until(typed, 60, "the types never arrived")
    assert complete(kernel, "boat.sail(kno")["matches"] == ["knots="]
    assert "%timeit" in complete(kernel, "%time")["matches"]
    assert complete(kernel, "no_such_name.")["matches"] == []


def test_completion_does_not_wait_for_jedi(kernel: Driver) -> None:
    kernel.run(
        "import jedi, os, time\nan_unusual_name = 1\n"
        "def slow(*args): time.sleep(600)\nquick, jedi.Interpreter = jedi.Interpreter, slow"
    )
    for code, start, name in (("an_unu", 0, "an_unusual_name"), ("os.pathconf_", 3, "pathconf_names")):
        reply = complete(kernel, code)
        assert reply["matches"] == [name]
        assert (reply["cursor_start"], reply["cursor_end"]) == (start, len(code))
        assert [each["text"] for each in reply["metadata"]["_jupyter_types_experimental"]] == [name]
    kernel.run("jedi.Interpreter = quick")


READ_FILES = "'parso.cache' in sys.modules and len(sys.modules['parso.cache'].parser_cache) > 0"
WARM_THREAD = f"""
import sys, threading, time
def tell():
    while not ({READ_FILES}):
        time.sleep(0.05)
    print("warm", flush=True)
threading.Thread(target=tell).start()
"""


def test_a_quiet_moment_warms_completion_up_for_a_person(own_kernel: Driver) -> None:
    own_kernel.run(WARM_THREAD)
    own_kernel.request("comm_info_request", {})
    until = time.monotonic() + 3 * introspection._QUIET_SECONDS
    while time.monotonic() < until:
        assert own_kernel.run(f"time.sleep(0.2)\n{READ_FILES}").result == "False"
    last = own_kernel.send("1")
    own_kernel.collect(last)
    # The kernel's own request does not take over the output of a thread.
    assert own_kernel.await_text("warm\n") == last


def test_the_first_completions_of_a_kernel_are_right() -> None:
    with running_kernel() as driver:
        # As the first question to a kernel: it waits until the interpreter has started.
        assert complete(driver, "import collectio")["matches"] == ["collections"]
    with running_kernel() as driver:
        driver.run("import jedi, time\njedi.Interpreter = lambda *args: time.sleep(600)")
        for code, start, name in (
            ("import os; os.path.jo", 19, "join"),
            ("import collections\ncollections.Orde", 31, "OrderedDict"),
            ("def f():\n s = 'abc'\n s.upp", 23, "upper"),
        ):
            reply = complete(driver, code)
            assert reply["matches"] == [name]
            assert (reply["cursor_start"], reply["cursor_end"]) == (start, len(code))


def test_inspection_has_two_levels_of_detail(kernel: Driver) -> None:
    kernel.run("def sail(knots):\n    'Go before the wind.'\n    return knots * 1.852")
    brief, full = inspect(kernel, "sail"), inspect(kernel, "sail", 1)
    assert brief["found"]
    assert "Go before the wind." in brief["data"]["text/plain"]
    assert "1.852" not in brief["data"]["text/plain"]
    assert "1.852" in full["data"]["text/plain"]
    assert not inspect(kernel, "no_such_name")["found"]


IS_COMPLETE = {
    "x = 1": {"status": "complete"},
    "%sh for i in 1 2; do": {"status": "complete"},
    "for i in x:\n    if i:": {"status": "incomplete", "indent": " " * 8},
    "'''": {"status": "incomplete", "indent": ""},
    "x = )": {"status": "invalid"},
}


@pytest.mark.parametrize("code", IS_COMPLETE)
def test_is_complete_knows_complete_incomplete_and_invalid_code(kernel: Driver, code: str) -> None:
    assert kernel.request("is_complete_request", {"code": code}) == IS_COMPLETE[code]


def test_history_by_tail_range_and_search(own_kernel: Driver) -> None:
    for code in ("one = 1", "two = 2", "one + two"):
        own_kernel.run(code)
    assert history(own_kernel, hist_access_type="tail", n=2) == [(2, "two = 2"), (3, "one + two")]
    assert history(own_kernel, hist_access_type="range", session=0, start=1, stop=3) == [
        (1, "one = 1"),
        (2, "two = 2"),
    ]
    assert history(own_kernel, hist_access_type="search", pattern="one*", n=5) == [
        (1, "one = 1"),
        (3, "one + two"),
    ]
    reply = own_kernel.request(
        "history_request", {"hist_access_type": "range", "output": True, "raw": True, "start": 3, "stop": 4}
    )
    assert reply["history"][0][2] == ["one + two", "3"]


def test_every_introspection_request_is_answered_while_a_cell_runs(kernel: Driver) -> None:
    kernel.run("import time; from comm import create_comm; c = create_comm('target'); an_unusual_name = 5")
    blocked = kernel.send("time.sleep(600)")
    kernel.next_output("execute_input")
    assert complete(kernel, "an_unus")["matches"] == ["an_unusual_name"]
    assert "int" in inspect(kernel, "an_unusual_name")["data"]["text/plain"]
    assert kernel.request("is_complete_request", {"code": "if x:"})["status"] == "incomplete"
    assert history(kernel, hist_access_type="tail", n=1)[0][1] == "time.sleep(600)"
    comms = kernel.request("comm_info_request", {"target_name": "target"})["comms"]
    assert list(comms.values()) == [{"target_name": "target"}]
    kernel.manager.interrupt_kernel()
    assert kernel.collect(blocked).error["ename"] == "KeyboardInterrupt"


def test_an_empty_reply_comes_in_time_when_c_code_holds_the_interpreter_lock(kernel: Driver) -> None:
    kernel.run("import ctypes; an_unusual_name = 5")
    # A PyDLL holds the interpreter lock during a call.
    blocked = kernel.send("ctypes.PyDLL(None).system(b'sleep 600')")
    wait_until(lambda: bool(sleeps_of(kernel)), DEADLINE, "the call never started")
    reply = complete(kernel, "an_unus")
    assert (reply["status"], reply["matches"], reply["cursor_start"]) == ("ok", [], 7)
    assert kernel.request("is_complete_request", {"code": "if x:"})["status"] == "incomplete"
    assert not inspect(kernel, "an_unusual_name")["found"]
    for sleeper in sleeps_of(kernel):
        sleeper.kill()
    # The late replies of the interpreter are dropped.
    answer = kernel.collect(blocked)
    assert answer.reply["status"] == "ok"
    assert complete(kernel, "an_unus")["matches"] == ["an_unusual_name"]


def test_an_introspection_request_publishes_busy_then_idle_and_nothing_else(kernel: Driver) -> None:
    for msg_type, content in (
        ("complete_request", {"code": "prin", "cursor_pos": 4}),
        ("comm_info_request", {}),
    ):
        answer = kernel.collect(kernel.send_message(msg_type, content))
        assert answer.reply["status"] == "ok"
        assert [m["content"].get("execution_state") for m in answer.messages] == ["busy", "idle"]


def test_replies_are_empty_before_there_is_a_sandbox() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_kernel(DAYTONA_API_URL=url, DAYTONA_API_KEY="k") as driver:
            assert complete(driver, "prin")["matches"] == []
            assert not inspect(driver, "print")["found"]
            for code, reply in IS_COMPLETE.items():
                assert driver.request("is_complete_request", {"code": code}) == reply
            assert driver.request("comm_info_request", {}) == {"status": "ok", "comms": {}}
            # jupyter-console waits for one second, and warns in the first cell if the answer comes later.
            assert history(driver, hist_access_type="tail", n=9) == []
