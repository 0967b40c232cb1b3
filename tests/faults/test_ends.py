"""Ends of interpreters, agents, sandboxes and servers: the notebook says so, and the next cell runs."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from daytona_kernel import Daytona
from tests.kernel.driver import DEADLINE, Driver, has_ended, processes_of, running_kernel, wait_until
from tests.served import config, serving

from .proxy import Weather, Where
from .world import NetworkWorld, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def surviving() -> Iterator[Driver]:
    with running_kernel() as driver:
        yield driver


@pytest.fixture
def kernel(surviving: Driver) -> Iterator[Driver]:
    """A kernel that lives on when its parts end, in one test after another."""
    yield surviving
    assert surviving.run("1 + 1").result == "2"  # no message of the test is left


@pytest.fixture(scope="module")
def remote_kernel(environment: dict[str, str]) -> Iterator[Driver]:
    """A kernel whose sandboxes others can end."""
    with running_kernel(**environment) as driver:
        yield driver


RUNNING = "import time\nprint('go', flush=True)\ntime.sleep(600)"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving(tmp_path_factory.mktemp("served")) as environment:
        yield environment


def processes_with(driver: Driver, word: str) -> list[psutil.Process]:
    """Return the kernel's processes with a word in their arguments. Some may end meanwhile."""
    found = []
    for each in processes_of(driver):
        with suppress(psutil.NoSuchProcess):
            if word in " ".join(each.cmdline()):
                found.append(each)
    return found


def stop_from_outside(environment: dict[str, str], sandbox_id: str) -> None:
    with Daytona(config(environment)) as daytona:
        daytona.get(sandbox_id).stop()


def delete_from_outside(environment: dict[str, str], sandbox_id: str) -> None:
    with Daytona(config(environment)) as daytona:
        daytona.get(sandbox_id).delete()


def crash(driver: Driver) -> None:
    """Kill the kernel, and start another in its place. The client keeps its sockets."""
    os.kill(driver.pid, signal.SIGKILL)
    driver.manager.restart_kernel(now=True)


def announced(driver: Driver) -> tuple[str, str]:
    """Return the next cell whose status a kernel publishes after its own start, and that status."""
    while not (status := driver.next_output("status"))["parent_header"]:
        pass
    return status["parent_header"]["msg_id"], status["content"]["execution_state"]


def told(driver: Driver) -> str:
    """Return what the next cell says about an end. It fails if the kernel has not learned of the end yet."""
    answer = driver.run("pass")
    return answer.stderr if answer.reply["status"] == "ok" else str(answer.error["evalue"])


SANDBOX_ENDS: list[tuple[Callable[[dict[str, str], str], None], str]] = [
    (stop_from_outside, "The sandbox was stopped. Its files are kept."),
    (delete_from_outside, "The sandbox was deleted, with its files."),
]


@pytest.mark.parametrize(("end", "sentence"), SANDBOX_ENDS)
def test_a_sandbox_that_ends_while_a_cell_runs(
    environment: dict[str, str],
    remote_kernel: Driver,
    end: Callable[[dict[str, str], str], None],
    sentence: str,
) -> None:
    sandbox_id = remote_kernel.run("import os; os.environ['DAYTONA_SANDBOX_ID']").result.strip("'")
    running = remote_kernel.send(RUNNING)
    remote_kernel.next_output("stream")
    end(environment, sandbox_id)
    error = remote_kernel.collect(running).error
    assert error["ename"] == "InterpreterLostError"
    assert error["evalue"].startswith(sentence)
    assert remote_kernel.run("1 + 1").result == "2"


@pytest.mark.parametrize(("end", "sentence"), SANDBOX_ENDS)
def test_a_sandbox_that_ends_while_no_cell_runs(
    environment: dict[str, str],
    remote_kernel: Driver,
    end: Callable[[dict[str, str], str], None],
    sentence: str,
) -> None:
    sandbox_id = remote_kernel.run("import os; os.environ['DAYTONA_SANDBOX_ID']").result.strip("'")
    end(environment, sandbox_id)
    assert told(remote_kernel).startswith(sentence)
    answer = remote_kernel.run("1 + 1")
    assert (answer.result, answer.stderr) == ("2", "")


def test_the_first_process_of_the_sandbox_is_killed(kernel: Driver) -> None:
    running = kernel.send(RUNNING)
    kernel.next_output("stream")
    for each in processes_with(kernel, "supervisor.py"):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    assert kernel.collect(running).error["ename"] == "InterpreterLostError"
    assert kernel.run("1 + 1").result == "2"


@pytest.mark.parametrize("runs", [True, False])
def test_the_embedded_server_is_killed(kernel: Driver, runs: bool) -> None:
    assert kernel.run("1 + 1").result == "2"
    running = kernel.send(RUNNING) if runs else None
    if runs:
        kernel.next_output("stream")
    server = processes_with(kernel, "daytona_kernel.server")[0]
    server.kill()
    # Until the system has taken the process apart, a cell can still run beside it.
    wait_until(lambda: has_ended(server))
    sentence = "The embedded server has ended, and with it the sandbox and its files."
    if running is not None:
        assert kernel.collect(running).error["evalue"].startswith(sentence)
    else:
        assert sentence in told(kernel)
    assert kernel.run("2 + 2").result == "4"
    assert kernel.run("%sh echo shell").stdout == "shell\n"


def test_a_cell_that_ends_its_interpreter_again_and_again(kernel: Driver) -> None:
    for _ in range(4):
        assert kernel.run("import os; os._exit(3)").error["ename"] == "InterpreterDiedError"
    assert kernel.run("1 + 1").result == "2"


def test_the_files_of_the_agent_are_deleted(kernel: Driver) -> None:
    kernel.run("!rm -rf /tmp/daytona-* $TMPDIR/daytona-*")
    assert kernel.run("import os; os._exit(3)").reply["status"] == "error"
    told(kernel)
    assert kernel.run("1 + 1").result == "2"
    assert kernel.run("%sh echo shell").stdout == "shell\n"


def test_an_idle_interpreter_is_killed(kernel: Driver) -> None:
    kernel.run("x = 1")
    processes_with(kernel, " interpreter ")[0].kill()
    assert "The interpreter was ended by SIGKILL." in told(kernel)
    assert kernel.run("'x' in globals()").result == "False"


def test_a_kernel_that_crashes_during_a_magic(kernel: Driver) -> None:
    kernel.run("x = 1")
    kernel.send("%sh sleep 600", stop_on_error=False)
    wait_until(lambda: processes_with(kernel, "sleep 600") != [])
    crash(kernel)
    assert kernel.run("x").result == "1"


def test_a_question_of_a_cell_is_asked_again_after_a_crash(kernel: Driver) -> None:
    asking = kernel.send("[input('Name? '), input('Age? ')]", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=DEADLINE)["content"]["prompt"] == "Name? "
    kernel.next_output("execute_input")
    crash(kernel)
    assert announced(kernel) == (asking, "busy")
    # The same client is asked.
    assert kernel.client.get_stdin_msg(timeout=DEADLINE)["content"]["prompt"] == "Name? "
    kernel.client.input("Ada")
    assert kernel.client.get_stdin_msg(timeout=DEADLINE)["content"]["prompt"] == "Age? "
    # A page has forgotten the cell. It is asked below its next cell.
    with kernel.another_client() as page:
        following = page.execute("'next'", allow_stdin=True)
        prompt = page.get_stdin_msg(timeout=DEADLINE)["content"]["prompt"]
        assert prompt == "A cell that ran before the kernel crashed asks: Age? "
        page.input("36")
        assert kernel.collect(asking).result == "['Ada', '36']"
        assert kernel.collect_output(following).result == "'next'"


def test_a_question_that_nobody_can_answer_after_a_crash_is_interrupted(kernel: Driver) -> None:
    asking = kernel.send("kept = 1; input('Name? ')", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=DEADLINE)
    kernel.next_output("execute_input")
    crash(kernel)
    assert announced(kernel) == (asking, "busy")
    following = kernel.send("kept", allow_stdin=False)
    message = kernel.next_output("stream")
    assert message["parent_header"]["msg_id"] == following
    assert "was waiting for input" in message["content"]["text"]
    assert kernel.collect(asking).error["ename"] == "KeyboardInterrupt"
    assert kernel.collect(following).result == "1"


class PatientWorld(World):
    """A world whose kernel waits for a stopped agent."""

    def environment(self) -> dict[str, str]:
        return {"TMPDIR": str(self.directory)}


def test_a_magic_that_began_before_the_interpreter_can_be_interrupted() -> None:
    world = PatientWorld()
    try:
        world.start_kernel()
        world.await_launch()
        agent = world.await_process("agent")
        agent.suspend()
        world.connect()
        running = world.driver.send("%sh sleep 601.5")
        world.await_command("601.5")
        agent.resume()
        complete = {"code": "impor", "cursor_pos": 5}
        wait_until(lambda: world.driver.request("complete_request", complete)["matches"] != [], DEADLINE)
        assert world.driver.request("interrupt_request", {}, "control")["status"] == "ok"
        assert world.driver.collect(running).reply["status"] == "error"
        assert world.driver.run("1 + 1").result == "2"
    finally:
        world.close()


def test_a_server_that_is_stopped_while_it_creates_a_sandbox_is_roused() -> None:
    world = World()
    try:
        world.start_kernel()
        server = world.await_process("server")
        world.await_creation()
        world.connect()
        server.suspend()
        answer = world.driver.run("%sandbox new")
        # The kernel may have roused it already, for a request of the first sandbox.
        assert answer.reply["status"] == "ok" or "within the request timeout" in answer.error["evalue"]
        assert server.status() != psutil.STATUS_STOPPED
        assert world.driver.run("%sandbox new").reply["status"] == "ok"
    finally:
        world.close()


def test_a_sandbox_that_cannot_be_deleted_in_time_is_deleted_later() -> None:
    world = NetworkWorld()
    try:
        world.start()
        world.proxy.begin(Weather.STALL, Where.API)
        world.shut_down()
        assert world.sandboxes()
        world.proxy.clear()
    finally:
        world.close()  # it checks that the sandbox goes


def test_a_sandbox_whose_creation_got_no_answer_is_deleted() -> None:
    world = NetworkWorld()
    try:
        world.proxy.begin(Weather.MUTE, Where.API)
        world.start_kernel()
        wait_until(lambda: world.proxy.refused > 0, DEADLINE)
        (lost,) = world.sandboxes()
        world.proxy.clear()
        world.connect()
        # The first cell may say that the creation failed.
        wait_until(lambda: world.driver.run("1 + 1").reply["status"] == "ok", DEADLINE)
        wait_until(lambda: [each.id for each in world.sandboxes()] not in ([], [lost.id]))
        wait_until(lambda: lost.id not in [each.id for each in world.sandboxes()])
    finally:
        world.close()


def test_a_sandbox_that_is_made_after_the_end_of_its_kernel_is_deleted() -> None:
    world = NetworkWorld()
    try:
        world.proxy.begin(Weather.STALL, Where.API)
        world.start_kernel()
        world.await_creation()
        world.connect()
        world.shut_down()
        world.proxy.clear()  # now the server gets the request
        deletion = "DELETE /api/sandbox/"
        wait_until(lambda: any(deletion in line for line in world.proxy.requests), DEADLINE, "it stays")
    finally:
        world.close()


def test_a_restart_flushes_files_and_runs_atexit(kernel: Driver) -> None:
    kernel.run(
        "import atexit, threading, time\n"
        "file = open('flushed', 'w')\nfile.write('precious')\n"
        "atexit.register(lambda: open('atexit', 'w').write('ran'))\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), open('thread', 'w').write('ended'))).start()"
    )
    kernel.manager.restart_kernel(now=False)
    kernel.client.stop_channels()
    kernel.connect()
    read = "{name: open(name).read() for name in ('flushed', 'atexit', 'thread')}"
    assert kernel.run(read).result == "{'flushed': 'precious', 'atexit': 'ran', 'thread': 'ended'}"


def test_a_move_to_another_sandbox_flushes_files(environment: dict[str, str], remote_kernel: Driver) -> None:
    first = remote_kernel.run("import os; os.environ['DAYTONA_SANDBOX_ID']").result.strip("'")
    remote_kernel.run("file = open('flushed', 'w')\nfile.write('precious')\n%sandbox keep")
    remote_kernel.run("%sandbox new")
    remote_kernel.run(f"%sandbox attach {first}")
    assert remote_kernel.run("open('flushed').read()").result == "'precious'"
    delete_from_outside(environment, first)


def test_output_while_the_kernel_is_replaced_after_a_crash_comes_whole(kernel: Driver) -> None:
    kernel.run("import time")
    running = kernel.send("for i in range(300):\n    print(i, flush=True)\n    time.sleep(0.01)")
    printed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    take(kernel.next_output("stream"))
    crash(kernel)
    assert kernel.collect(running, take).reply["status"] == "ok"
    assert "".join(printed) == "".join(f"{i}\n" for i in range(300))
    assert kernel.run("i").displayed.startswith("The previous interpreter is in use again")
