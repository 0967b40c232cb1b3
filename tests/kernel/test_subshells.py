"""Subshells end to end: they handle requests while a cell runs on the main shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver import DEADLINE

if TYPE_CHECKING:
    from .driver import Driver


def test_a_subshell_runs_code_while_the_main_shell_is_busy(kernel: Driver) -> None:
    kernel.run("import time; done = False")
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    assert kernel.request("list_subshell_request", {}, "control")["subshell_id"] == [subshell_id]
    blocked = kernel.send("while not done: time.sleep(0.01)")
    freeing = kernel.send_message(
        "execute_request", {"code": "print('freed', end='', flush=True); done = True"}, subshell_id
    )
    assert kernel.await_text("freed") == freeing
    kernel.collect(blocked)
    assert (
        kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")["status"] == "ok"
    )
    assert kernel.request("list_subshell_request", {}, "control")["subshell_id"] == []


def test_every_message_of_a_subshell_names_the_request_as_it_was_sent(kernel: Driver) -> None:
    content = {"subshell_id": kernel.request("create_subshell_request", {}, "control")["subshell_id"]}
    code = "from comm import create_comm\nprint('now'); display(1); create_comm('t')\n%sh echo sandbox\n1 / 0"
    message = kernel.client.session.msg("execute_request", {"code": code})
    message["header"].update(content, unknown="kept")
    kernel.client.shell_channel.send(message)
    msg_id = message["header"]["msg_id"]
    reply = kernel.client.get_shell_msg(timeout=DEADLINE)
    while reply["parent_header"]["msg_id"] != msg_id:  # of a request before the test
        reply = kernel.client.get_shell_msg(timeout=DEADLINE)
    answer = kernel.collect_output(msg_id)
    assert kernel.request("delete_subshell_request", content, "control")["status"] == "ok"
    assert {"stream", "display_data", "comm_open", "error"} <= {m["msg_type"] for m in answer.messages}
    for each in (reply, *answer.messages):
        assert each["parent_header"] == message["header"], each["msg_type"]


def test_a_failed_cell_aborts_those_behind_it_in_its_own_shell(kernel: Driver) -> None:
    content = {"subshell_id": kernel.request("create_subshell_request", {}, "control")["subshell_id"]}
    subshell_id = content["subshell_id"]
    kernel.run("import threading; ran = []; gate = threading.Event()")
    main = [kernel.send(code) for code in ("gate.wait(60)", "ran.append('main')")]
    beside = [
        kernel.send_message("execute_request", {"code": code}, subshell_id)
        for code in ("1 / 0", "ran.append('beside')", "ran.append('beside')")
    ]
    assert [kernel.reply(each)["status"] for each in beside] == ["error", "aborted", "aborted"]
    code = {"code": "gate.set()"}
    assert kernel.request("execute_request", code, subshell_id=subshell_id)["status"] == "ok"
    assert [kernel.reply(each)["status"] for each in main] == ["ok", "ok"]
    assert kernel.run("ran").result == "['main']"
    assert kernel.request("delete_subshell_request", content, "control")["status"] == "ok"


def test_a_request_for_an_unknown_subshell_is_answered_with_an_error(kernel: Driver) -> None:
    reply = kernel.request("execute_request", {"code": "1"}, subshell_id="none-such")
    assert reply["ename"] == "UnknownSubshellError"
    gone = kernel.request("delete_subshell_request", {"subshell_id": "none-such"}, "control")
    assert gone["status"] == "error"


def test_a_subshell_handles_its_requests_before_it_is_deleted(kernel: Driver) -> None:
    kernel.run("from comm import create_comm\nc = create_comm('t', data={})")
    comm_id = kernel.run("c.comm_id").result.strip("'")
    for _ in range(30):
        # JupyterLab does this when it looks for the widgets of a kernel.
        subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
        sent = [
            kernel.send_message("comm_msg", {"comm_id": comm_id, "data": n}, subshell_id) for n in range(2)
        ]
        assert kernel.request("kernel_info_request", {})["status"] == "ok"
        kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")
        for each in sent:
            states = [s["execution_state"] for s in kernel.collect_output(each).contents("status")]
            assert states == ["busy", "idle"]


def test_a_subshell_outlives_its_interpreter(kernel: Driver) -> None:
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    kernel.send_message("execute_request", {"code": "print('fresh')"}, subshell_id)
    kernel.await_text("fresh\n")
    kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")


def test_a_widget_message_reaches_a_busy_kernel(kernel: Driver) -> None:
    kernel.run(
        "from comm import create_comm\nimport time\nseen = []\n"
        "c = create_comm('t', data={})\nc.on_msg(lambda m: seen.append(m['content']['data']))"
    )
    comm_id = kernel.run("c.comm_id").result.strip("'")
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    # The comm sends from the main shell, like a widget that a running cell updates.
    blocked = kernel.send("c.send('from the main shell')\nwhile not seen: time.sleep(0.01)\nprint(seen)")
    kernel.next_output("comm_msg")
    kernel.send_message("comm_msg", {"comm_id": comm_id, "data": "clicked"}, subshell_id)
    kernel.collect(blocked)
    kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")


def test_completion_and_inspection_answer_while_a_cell_runs(kernel: Driver) -> None:
    kernel.run("import time; done = False; an_unusual_name = 5")
    kernel.request("complete_request", {"code": "an_unus", "cursor_pos": 7})
    blocked = kernel.send("while not done: time.sleep(0.01)")
    kernel.next_output("execute_input")
    found = kernel.request("complete_request", {"code": "an_unus", "cursor_pos": 7})
    assert "an_unusual_name" in found["matches"]
    shown = kernel.request("inspect_request", {"code": "an_unusual_name", "cursor_pos": 3, "detail_level": 0})
    assert "int" in shown["data"]["text/plain"]
    kernel.manager.interrupt_kernel()
    assert kernel.collect(blocked).error["ename"] == "KeyboardInterrupt"
    assert kernel.request("list_subshell_request", {}, "control")["subshell_id"] == []
