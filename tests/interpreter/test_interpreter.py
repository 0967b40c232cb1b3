"""The interpreter against a real agent and a real ipykernel."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from daytona_kernel.errors import InterpreterDiedError, InterpreterError, InterpreterLostError
from daytona_kernel.interpreter import interpreter as interpreter_module
from daytona_kernel.interpreter.connection import Credentials
from daytona_kernel.interpreter.interpreter import Interpreter
from daytona_kernel.wire.messages import Message, encode_json

from .local import LocalAgent, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daytona_kernel.client.models.processes import ExecuteResponse

pytestmark = pytest.mark.anyio


class Recorder:
    """The events that an interpreter reports."""

    def __init__(self) -> None:
        self.ready: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.strays: list[Message] = []


@asynccontextmanager
async def connected(agent: LocalAgent) -> AsyncIterator[tuple[Interpreter, Recorder]]:
    recorder = Recorder()
    interpreter = Interpreter(
        agent,
        agent.credentials,
        on_message=recorder.strays.append,
        on_ready=recorder.ready.put_nowait,
        on_ended=recorder.ended.put_nowait,
    )
    running = asyncio.ensure_future(interpreter.run())
    try:
        yield interpreter, recorder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def start_code(interpreter: Interpreter, code: str) -> asyncio.Task[ExecuteResponse]:
    """Execute code, and return as soon as it runs."""
    started = asyncio.Event()

    def on_message(message: Message) -> None:
        if message.msg_type == "stream":
            started.set()

    running = asyncio.ensure_future(
        interpreter.execute(f"print('go', flush=True)\n{code}", on_message=on_message)
    )
    await asyncio.wait_for(started.wait(), 20)
    return running


async def child_of(interpreter: Interpreter, name: str) -> None:
    """Wait until the interpreter's code has started a program."""
    deadline = time.monotonic() + 20
    while not any(each.name() == name for each in psutil.Process(interpreter.pid).children(recursive=True)):
        assert time.monotonic() < deadline, f"{name} was not started"
        await asyncio.sleep(0.02)


@pytest.fixture
async def agent() -> AsyncIterator[LocalAgent]:
    agent = await LocalAgent().start()
    yield agent
    await agent.stop()


async def test_code_runs_and_state_persists(agent: LocalAgent) -> None:
    async with connected(agent) as (interpreter, recorder):
        assert (await interpreter.execute("x = 20; print('a')")).result == "a\n"
        answer = await interpreter.execute("print(x + 1)")
        assert (answer.exit_code, answer.result) == (0, "21\n")
        assert (await interpreter.execute("1/0")).exit_code == 1
        info = await asyncio.wait_for(recorder.ready.get(), 5)
        assert info["language_info"]["name"] == "python"


async def test_messages_carry_the_session_of_the_kernel(agent: LocalAgent) -> None:
    messages: list[Message] = []
    async with connected(agent) as (interpreter, _):
        await interpreter.execute("1 + 1", on_message=messages.append)
    assert {m.header["session"] for m in messages} == {"the-session"}
    kinds = [m.msg_type for m in messages if m.channel == "iopub"]
    assert kinds == ["status", "execute_input", "execute_result", "status"]


async def test_a_cut_connection_loses_and_repeats_nothing(agent: LocalAgent) -> None:
    agent.wire = await Wire(agent.port).open()
    text: list[str] = []
    cuts = 0

    def on_message(message: Message) -> None:
        nonlocal cuts
        if message.msg_type == "stream":
            text.append(message.content["text"])
            if len(text) in (3, 10, 20, 30):
                cuts += 1
                assert agent.wire is not None
                agent.wire.cut()

    code = """
import sys, time
for i in range(2000):
    print(i)
    if i % 50 == 0:
        sys.stdout.flush()
        time.sleep(0.01)
"""
    async with connected(agent) as (interpreter, _):
        await asyncio.wait_for(interpreter.execute(code, on_message=on_message), 30)
    assert "".join(text) == "".join(f"{i}\n" for i in range(2000))
    assert cuts == 4
    assert agent.opened >= 5


async def test_output_waits_for_a_kernel_that_is_away(agent: LocalAgent) -> None:
    agent.wire = await Wire(agent.port).open()
    size = 3_000_000
    async with connected(agent) as (interpreter, _):
        await interpreter.execute("import time")
        running = asyncio.ensure_future(
            interpreter.execute(f"time.sleep(0.3)\nfor _ in range(30): print('x' * {size // 30}, flush=True)")
        )
        await asyncio.sleep(0)
        agent.wire.holding = True
        agent.wire.cut()
        while agent.opened < 5:
            await asyncio.sleep(0.02)
        agent.wire.holding = False
        assert len((await asyncio.wait_for(running, 30)).result) == size + 30


async def test_a_killed_interpreter_is_reported_and_replaced(agent: LocalAgent) -> None:
    async with connected(agent) as (interpreter, recorder):
        await interpreter.execute("x = 1")
        running = await start_code(interpreter, "import time; time.sleep(60)")
        assert interpreter.pid is not None
        os.kill(interpreter.pid, signal.SIGKILL)
        with pytest.raises(InterpreterDiedError, match="SIGKILL"):
            await asyncio.wait_for(running, 5)
        assert "SIGKILL" in await asyncio.wait_for(recorder.ended.get(), 5)
        assert (
            await asyncio.wait_for(interpreter.execute("print('x' in globals())"), 20)
        ).result == "False\n"


async def test_the_interpreter_of_a_killed_agent_ends(agent: LocalAgent) -> None:
    async with connected(agent) as (interpreter, _):
        # C code that holds the interpreter lock: no Python thread of the child can run.
        blocked = "import re, time; time.sleep(0.2); re.match(r'(a+)+$', 'a' * 40 + 'b')"
        running = await start_code(interpreter, blocked)
        child = psutil.Process(interpreter.pid)
        used = child.cpu_times().user
        while child.cpu_times().user < used + 0.5:
            await asyncio.sleep(0.02)
        agent.child.kill()
        with pytest.raises(InterpreterLostError):
            await asyncio.wait_for(running, 10)
        assert not psutil.wait_procs([child], timeout=5)[1]


async def test_stopping_the_agent_leaves_nothing(agent: LocalAgent) -> None:
    async with connected(agent) as (interpreter, _):
        await interpreter.execute("import subprocess; p = subprocess.Popen(['sleep', '60'])")
        processes = [
            psutil.Process(agent.child.pid),
            *psutil.Process(agent.child.pid).children(recursive=True),
        ]
        assert len(processes) == 3
        agent.child.send_signal(signal.SIGTERM)
        assert not psutil.wait_procs(processes, timeout=10)[1]
    assert sorted(os.listdir(agent.directory.name)) == ["agent.pyz", "ipython"]  # noqa: PTH208


async def test_a_cell_that_the_interpreter_drops_fails(
    agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter_module, "_UNANSWERED_SECONDS", 0.2)
    async with connected(agent) as (interpreter, _):
        # ipykernel looks for a key in the metadata, which are no object here, and goes on without a reply.
        header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "version": "5.4"}
        request = Message("shell", [encode_json(header), b"{}", b"[]", b'{"code": "1"}'])
        with pytest.raises(InterpreterError, match="no reply"):
            await asyncio.wait_for(interpreter.execute("1", request=request), 20)
        assert (await interpreter.execute("print(1)")).result == "1\n"


async def test_a_wrong_secret_is_refused(agent: LocalAgent) -> None:
    right, agent.credentials = agent.credentials, Credentials(agent.credentials.link, "wrong")
    async with connected(agent) as (interpreter, _):
        with pytest.raises(InterpreterLostError, match="refused"):
            await asyncio.wait_for(interpreter.run(), 5)
    assert right.secret not in repr(right)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "while True: pass",
        "import subprocess; subprocess.run(['sleep', '60'])",
        "!sleep 60",
    ],
)
async def test_an_interrupt_stops_the_code_and_keeps_the_state(agent: LocalAgent, code: str) -> None:
    async with connected(agent) as (interpreter, _):
        await interpreter.execute("x = 1")
        running = await start_code(interpreter, code)
        if "sleep" in code and "time" not in code:
            await child_of(interpreter, "sleep")
        await interpreter.interrupt()
        # IPython reports an interrupted `!` command by its status, not as an exception.
        assert (await asyncio.wait_for(running, 5)).exit_code == (0 if code.startswith("!") else 1)
        assert (await interpreter.execute("print(x)")).result == "1\n"


async def test_a_kernel_that_takes_over_gets_the_messages_that_the_old_one_missed(agent: LocalAgent) -> None:
    async with connected(agent) as (interpreter, _):
        await interpreter.execute("x = 7")
    async with connected(agent) as (interpreter, _):
        assert (await asyncio.wait_for(interpreter.execute("print(x)"), 10)).result == "7\n"
