"""Cells through a real kernel, as the reader of a notebook sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .driver import DEADLINE

if TYPE_CHECKING:
    from .driver import Driver


def test_state_persists_and_the_execution_count_increases(kernel: Driver) -> None:
    first = kernel.run("x = 20")
    second = kernel.run("x + 1")
    assert second.result == "21"
    assert second.reply["execution_count"] == first.reply["execution_count"] + 1
    assert second.contents("execute_input")[0]["execution_count"] == second.reply["execution_count"]


def test_the_messages_and_their_order_are_those_of_ipykernel(kernel: Driver) -> None:
    answer = kernel.run("import sys; print('a'); print('b', file=sys.stderr); display(1); 2")
    kinds = [(m["msg_type"], m["content"].get("execution_state")) for m in answer.messages]
    assert kinds[:2] == [("status", "busy"), ("execute_input", None)]
    assert kinds[-2:] == [("execute_result", None), ("status", "idle")]
    assert answer.stdout == "a\n"
    assert answer.stderr == "b\n"
    assert {m["header"]["session"] for m in answer.messages} == {answer.messages[0]["header"]["session"]}


def test_display_updates_clear_output_and_metadata(kernel: Driver) -> None:
    answer = kernel.run(
        "from IPython.display import clear_output\n"
        "handle = display({'text/plain': 'one'}, raw=True, display_id=True, metadata={'a': 1})\n"
        "handle.update({'text/plain': 'two'}, raw=True)\n"
        "clear_output(wait=True)"
    )
    (shown,), (updated,) = answer.contents("display_data"), answer.contents("update_display_data")
    assert shown["transient"]["display_id"] == updated["transient"]["display_id"]
    assert (shown["data"], shown["metadata"]) == ({"text/plain": "one"}, {"a": 1})
    assert updated["data"] == {"text/plain": "two"}
    assert answer.contents("clear_output") == [{"wait": True}]


def test_a_traceback_shows_only_the_users_code(kernel: Driver) -> None:
    kernel.run("def half(n):\n    return n / 0")
    answer = kernel.run("half(1)")
    assert (answer.error["ename"], answer.error["evalue"]) == ("ZeroDivisionError", "division by zero")
    traceback = "\n".join(answer.error["traceback"])
    assert "half" in traceback
    assert "daytona" not in traceback
    assert answer.reply["status"] == "error"


def test_a_figure_and_a_table_are_displayed(kernel: Driver) -> None:
    answer = kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    (figure,) = answer.contents("display_data")
    assert figure["data"]["image/png"].startswith("iVBOR")
    table = kernel.run("import pandas; pandas.DataFrame({'a': [1]})")
    assert "<table" in table.contents("execute_result")[0]["data"]["text/html"]


def test_a_large_string_and_many_lines_arrive_complete(kernel: Driver) -> None:
    assert len(kernel.run("print('x' * 20_000_000)").stdout) == 20_000_001
    lines = kernel.run("for i in range(100_000): print(i)").stdout.splitlines()
    assert lines == [str(i) for i in range(100_000)]


def test_buffers_pass_in_both_directions(kernel: Driver) -> None:
    code = (
        "from comm import create_comm\n"
        "c = create_comm('t', data={}, buffers=[b'\\x00\\xff'])\n"
        "got = []\n"
        "c.on_msg(got.append)"
    )
    answer = kernel.run(code)
    (opened,) = [m for m in answer.messages if m["msg_type"] == "comm_open"]
    assert [bytes(b) for b in opened["buffers"]] == [b"\x00\xff"]
    message = kernel.client.session.msg(
        "comm_msg", {"comm_id": opened["content"]["comm_id"], "data": {"n": 1}}
    )
    kernel.client.session.send(kernel.client.shell_channel.socket, message, buffers=[b"\x01\x02"])
    shown = kernel.run("print(got[0]['content']['data'], [bytes(b) for b in got[0]['buffers']])")
    assert shown.stdout == "{'n': 1} [b'\\x01\\x02']\n"


def test_a_failed_cell_aborts_those_behind_it(kernel: Driver) -> None:
    failing = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n1 / 0"
    ids = [kernel.send(code) for code in (failing, "y = 1", "y = 2")]
    kernel.run_beside("open('go', 'w').close()")
    statuses = [kernel.collect(msg_id).reply["status"] for msg_id in ids]
    assert statuses == ["error", "aborted", "aborted"]
    assert kernel.run("'y' in globals()").result == "False"


@pytest.mark.parametrize("code", ["1 / 0", "1 +* 2", "%nosuch", "%sh exit 3"])
def test_no_cell_behind_a_failed_one_runs(kernel: Driver, code: str) -> None:
    """All cells are made before the first is sent: a busy machine may send the last ones late."""
    kernel.run("ran = []")
    for _ in range(5):
        codes = [code, *(f"ran.append({number})" for number in range(20))]
        failing, *behind = kernel.send_together(codes)
        assert kernel.collect(failing).reply["status"] == "error"
        assert {kernel.collect(each).reply["status"] for each in behind} == {"aborted"}
        assert kernel.run("ran").result == "[]"


def test_replies_keep_the_order_of_cells_when_one_fails(kernel: Driver) -> None:
    kernel.run("import IPython")
    shown = "try: 1 / 0\nexcept: IPython.get_ipython().showtraceback()"
    sent = [kernel.send(code) for code in ("1", shown, "1 / 0", "2", "3")]
    replies = [kernel.client.get_shell_msg(timeout=DEADLINE) for _ in sent]
    assert [reply["parent_header"]["msg_id"] for reply in replies] == sent
    states = [kernel.next_output("status") for _ in range(2 * len(sent))]
    order = [each["parent_header"]["msg_id"] for each in states]
    assert order == [each for each in sent for _ in range(2)]


def test_a_lone_surrogate_is_shown_as_an_escape(kernel: Driver) -> None:
    # ipykernel shows nothing of the first two.
    error = kernel.run("raise ValueError('é' + chr(0xD8FF))").error
    assert error["evalue"] == "é\\ud8ff"
    assert kernel.run("print('é' + chr(0xD8FF))").stdout == "é\\ud8ff\n"
    shown = kernel.run("display({'text/plain': chr(0xD8FF)}, raw=True)").contents("display_data")
    assert shown[0]["data"] == {"text/plain": "\\ud8ff"}


def test_malformed_and_unsigned_messages_are_dropped_and_the_kernel_lives(kernel: Driver) -> None:
    socket = kernel.client.shell_channel.socket
    for frames in (
        [b"noise"],
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"", b"{not json", b"{}", b"{}", b"{}"],
        [
            b"<IDS|MSG>",
            b"wrong",
            b'{"msg_type":"execute_request","msg_id":"1"}',
            b"{}",
            b"{}",
            b'{"code":"x = 666"}',
        ],
    ):
        socket.send_multipart(frames)
    assert kernel.run("'666' in str(globals().get('x'))").result == "False"
