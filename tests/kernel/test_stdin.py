"""`input()` and `getpass`: only the front end that sent the cell is asked."""

from __future__ import annotations

from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from .driver import DEADLINE, Driver


def next_prompt(client: BlockingKernelClient) -> dict[str, Any]:
    """Return the content of the next `input_request`."""
    message = client.get_stdin_msg(timeout=DEADLINE)
    assert message["msg_type"] == "input_request"
    return dict(message["content"])


def test_a_cell_can_ask_several_times_and_for_a_password(kernel: Driver) -> None:
    msg_id = kernel.send(
        "import getpass\na = input('name: ')\nb = getpass.getpass('key: ')\nc = input()\nprint([a, b, c])",
        allow_stdin=True,
    )
    for prompt, password, answer in (
        ("name: ", False, "Ada"),
        ("key: ", True, "sésame"),
        ("", False, ""),
    ):
        assert next_prompt(kernel.client) == {"prompt": prompt, "password": password}
        kernel.client.input(answer)
    assert kernel.collect(msg_id).stdout == "['Ada', 'sésame', '']\n"


def test_printed_text_appears_before_the_prompt(kernel: Driver) -> None:
    msg_id = kernel.send("print('before', end=''); input()", allow_stdin=True)
    kernel.await_text("before")
    next_prompt(kernel.client)
    kernel.client.input("x")
    assert kernel.collect(msg_id).result == "'x'"


def test_the_end_of_input_raises_eoferror(kernel: Driver) -> None:
    msg_id = kernel.send("input()", allow_stdin=True)
    next_prompt(kernel.client)
    kernel.client.input("\x04")
    assert kernel.collect(msg_id).error["ename"] == "EOFError"


def test_input_is_an_error_when_the_front_end_does_not_allow_it(kernel: Driver) -> None:
    for code in ("input()", "import getpass; getpass.getpass()"):
        error = kernel.run(code, allow_stdin=False).error
        assert error["ename"] == "StdinNotImplementedError"
        assert "does not support input requests" in error["evalue"]


def test_an_interrupt_ends_the_prompt_and_keeps_the_state(kernel: Driver) -> None:
    for code in ("kept = 1; input('?')", "import getpass; kept = 1; getpass.getpass()"):
        msg_id = kernel.send(code, allow_stdin=True)
        next_prompt(kernel.client)
        kernel.manager.interrupt_kernel()
        assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"
        # An answer that arrives too late is dropped.
        kernel.client.input("late")
        again = kernel.send("[kept, input('again')]", allow_stdin=True)
        assert next_prompt(kernel.client)["prompt"] == "again"
        kernel.client.input("now")
        assert kernel.collect(again).result == "[1, 'now']"


def test_each_client_is_asked_for_its_own_cell(kernel: Driver) -> None:
    # A client from the manager would share the identity of the first client.
    second = BlockingKernelClient(connection_file=kernel.manager.connection_file)
    second.load_connection_file()
    second.start_channels()
    try:
        second.wait_for_ready(timeout=DEADLINE)
        theirs = second.execute("input('second?')", allow_stdin=True)
        assert next_prompt(second)["prompt"] == "second?"
        mine = kernel.send("input('first?')", allow_stdin=True)
        second.input("two")
        assert next_prompt(kernel.client)["prompt"] == "first?"
        kernel.client.input("one")
        assert kernel.collect_output(theirs).result == "'two'"
        assert kernel.collect(mine).result == "'one'"
        for client in (kernel.client, second):
            assert client.stdin_channel.msg_ready() is False
    finally:
        second.stop_channels()


def test_a_thread_may_ask_while_a_later_cell_runs(kernel: Driver) -> None:
    kernel.run(
        "import threading\nanswers, go = [], threading.Event()\n"
        "def ask():\n    go.wait(); answers.append(input('thread?'))\n"
        "thread = threading.Thread(target=ask); thread.start()"
    )
    msg_id = kernel.send("go.set(); thread.join(); answers", allow_stdin=True)
    assert next_prompt(kernel.client)["prompt"] == "thread?"
    kernel.client.input("yes")
    assert kernel.collect(msg_id).result == "['yes']"


def test_a_comm_callback_may_ask_while_a_cell_runs(kernel: Driver) -> None:
    kernel.run(
        "from comm import create_comm\nimport time\nanswers = []\nc = create_comm('t')\n"
        "c.on_msg(lambda message: answers.append(input('callback?')))"
    )
    comm_id = kernel.run("c.comm_id").result.strip("'")
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    msg_id = kernel.send("while not answers: time.sleep(0.01)\nanswers", allow_stdin=True)
    kernel.next_output("execute_input")
    kernel.send_message("comm_msg", {"comm_id": comm_id, "data": {}}, subshell_id)
    assert next_prompt(kernel.client)["prompt"] == "callback?"
    kernel.client.input("yes")
    assert kernel.collect(msg_id).result == "['yes']"
    kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")


def test_a_subshell_asks_its_own_client(kernel: Driver) -> None:
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    content = {"code": "print(input('subshell?'))", "allow_stdin": True}
    kernel.send_message("execute_request", content, subshell_id)
    assert next_prompt(kernel.client)["prompt"] == "subshell?"
    kernel.client.input("yes")
    kernel.await_text("yes\n")
    kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")
