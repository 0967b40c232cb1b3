"""Subshells end to end: they handle requests while a cell runs on the main shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver import DEADLINE

if TYPE_CHECKING:
    from .driver import Driver


def test_a_subshell_runs_code_while_the_main_shell_is_busy(own_kernel: Driver) -> None:
    own_kernel.run("import time; done = False")
    subshell_id = own_kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    assert own_kernel.request("list_subshell_request", {}, "control")["subshell_id"] == [subshell_id]
    blocked = own_kernel.send("while not done: time.sleep(0.01)")
    freeing = own_kernel.send_message(
        "execute_request", {"code": "print('freed', end='', flush=True); done = True"}, subshell_id
    )
    assert own_kernel.await_text("freed") == freeing
    own_kernel.collect(blocked)
    assert (
        own_kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")["status"]
        == "ok"
    )
    assert own_kernel.request("list_subshell_request", {}, "control")["subshell_id"] == []


def test_every_message_of_a_subshell_names_the_request_as_it_was_sent(kernel: Driver) -> None:
    content = {"subshell_id": kernel.request("create_subshell_request", {}, "control")["subshell_id"]}
    code = "from comm import create_comm\nprint('now'); display(1); create_comm('t')\n%sh echo sandbox\n1 / 0"
    message = kernel.client.session.msg("execute_request", {"code": code})
    message["header"].update(content, unknown="kept")
    kernel.client.shell_channel.send(message)
    reply = kernel.client.get_shell_msg(timeout=DEADLINE)
    while reply["msg_type"] != "execute_reply":  # of a request before the test
        reply = kernel.client.get_shell_msg(timeout=DEADLINE)
    answer = kernel.collect_output(message["header"]["msg_id"])
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


def test_a_request_for_an_unknown_subshell_is_answered_with_an_error(own_kernel: Driver) -> None:
    reply = own_kernel.request("execute_request", {"code": "1"}, subshell_id="none-such")
    assert reply["ename"] == "UnknownSubshellError"
    gone = own_kernel.request("delete_subshell_request", {"subshell_id": "none-such"}, "control")
    assert gone["status"] == "error"


def test_a_subshell_handles_its_requests_before_it_is_deleted(own_kernel: Driver) -> None:
    own_kernel.run("from comm import create_comm\nc = create_comm('t', data={})")
    comm_id = own_kernel.run("c.comm_id").result.strip("'")
    for _ in range(30):
        # JupyterLab does this when it looks for the widgets of a kernel.
        subshell_id = own_kernel.request("create_subshell_request", {}, "control")["subshell_id"]
        sent = [
            own_kernel.send_message("comm_msg", {"comm_id": comm_id, "data": n}, subshell_id)
            for n in range(2)
        ]
        assert own_kernel.request("kernel_info_request", {})["status"] == "ok"
        own_kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")
        for each in sent:
            states = [s["execution_state"] for s in own_kernel.collect_output(each).contents("status")]
            assert states == ["busy", "idle"]


def test_a_subshell_outlives_its_interpreter(own_kernel: Driver) -> None:
    subshell_id = own_kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    own_kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    own_kernel.send_message("execute_request", {"code": "print('fresh')"}, subshell_id)
    own_kernel.await_text("fresh\n")


def test_a_widget_message_reaches_a_busy_kernel(own_kernel: Driver) -> None:
    own_kernel.run(
        "from comm import create_comm\nimport time\nseen = []\n"
        "c = create_comm('t', data={})\nc.on_msg(lambda m: seen.append(m['content']['data']))"
    )
    comm_id = own_kernel.run("c.comm_id").result.strip("'")
    subshell_id = own_kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    # The comm sends from the main shell, like a widget that a running cell updates.
    blocked = own_kernel.send("c.send('from the main shell')\nwhile not seen: time.sleep(0.01)\nprint(seen)")
    own_kernel.next_output("comm_msg")
    own_kernel.send_message("comm_msg", {"comm_id": comm_id, "data": "clicked"}, subshell_id)
    own_kernel.collect(blocked)


def test_completion_and_inspection_answer_while_a_cell_runs(own_kernel: Driver) -> None:
    own_kernel.run("import time; done = False; an_unusual_name = 5")
    own_kernel.request("complete_request", {"code": "an_unus", "cursor_pos": 7})
    blocked = own_kernel.send("while not done: time.sleep(0.01)")
    own_kernel.next_output("execute_input")
    found = own_kernel.request("complete_request", {"code": "an_unus", "cursor_pos": 7})
    assert "an_unusual_name" in found["matches"]
    shown = own_kernel.request(
        "inspect_request", {"code": "an_unusual_name", "cursor_pos": 3, "detail_level": 0}
    )
    assert "int" in shown["data"]["text/plain"]
    own_kernel.manager.interrupt_kernel()
    assert own_kernel.collect(blocked).error["ename"] == "KeyboardInterrupt"
    assert own_kernel.request("list_subshell_request", {}, "control")["subshell_id"] == []
