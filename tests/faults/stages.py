"""The stages at which faults strike: each brings the kernel there, and knows what should be printed."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.kernel.driver import DEADLINE, Empty
from tests.kernel.test_debugger import CELL, Debugger, stop_at_the_breakpoint

from .world import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from .world import World

LINES = "".join(f"{i}\n" for i in range(50))
_SILENT = "import time\ntime.sleep(1.2)\nprint('whole')"
_PRINTING = "import time\nfor i in range(50):\n    print(i, flush=True)\n    time.sleep(0.025)"
_LOG = "for i in $(seq 0 49); do echo $i; sleep 0.025; done"


def _is_running_now(message: dict[str, Any]) -> bool:
    return bool(message["msg_type"] == "execute_input")


class Stage:
    """A stage, which one cell brings about.

    name: for people. code: the cell. whole: what it prints if nothing fails.
    starts_kernel: whether the stage is one of a new kernel.
    """

    starts_kernel = False

    def __init__(self, name: str, code: str = "print('whole')", whole: str = "whole\n") -> None:
        self.name = name
        self.code = code
        self._whole = whole

    def enter(self, world: World) -> Running | None:
        """Bring the kernel to this stage; return the cell, or None if `send` sends it later."""
        running = Running(world, self.code)
        running.wait(_is_running_now)
        return running

    def send(self, world: World) -> Running:
        """Send the cell, while the fault lasts."""
        return Running(world, self.code)

    def answer(self, world: World, running: Running) -> None:
        """Do what the cell waits for, while the fault lasts."""

    def leave(self, world: World, running: Running) -> None:
        """Check what the stage has besides its cell, and put everything in order."""

    def is_whole(self, printed: str) -> bool:
        return printed == self._whole

    def is_start(self, printed: str) -> bool:
        """Whether this may be the output of a cell that failed."""
        return self._whole.startswith(printed)


class _Early(Stage):
    """A stage of a new kernel, before its first cell."""

    starts_kernel = True

    def __init__(self, name: str, await_it: Callable[[World], None]) -> None:
        super().__init__(name)
        self._await_it = await_it

    def enter(self, world: World) -> None:
        world.end_kernel()
        world.start_kernel()
        self._await_it(world)

    def send(self, world: World) -> Running:
        world.connect()
        return super().send(world)


class _Idle(Stage):
    """No cell runs."""

    def enter(self, world: World) -> None:
        pass


class _Printing(Stage):
    def enter(self, world: World) -> Running:
        running = Running(world, self.code)
        running.wait(lambda message: message["msg_type"] == "stream")
        return running


class _Input(Stage):
    def enter(self, world: World) -> Running:
        running = Running(world, self.code, allow_stdin=True)
        world.driver.client.get_stdin_msg(timeout=DEADLINE)
        return running

    def answer(self, world: World, running: Running) -> None:
        if world.has_crashed:
            world.driver.client.get_stdin_msg(timeout=DEADLINE)  # the question appears again
        world.driver.client.input("me")


class _Command(Stage):
    """A shell command of a magic, which runs. {} in the code is a duration that no other process has."""

    _numbers = count(1)

    def enter(self, world: World) -> Running:
        duration = f"1.1{next(self._numbers):05}"
        running = Running(world, self.code.format(duration))
        world.await_command(duration)
        return running


class _Upload(Stage):
    def enter(self, world: World) -> Running:
        source = world.upload_source()
        self._size = source.stat().st_size
        code = f"%upload {source} target --force\nimport os\nprint(os.path.getsize('target'))"
        running = Running(world, code)
        running.wait(_is_running_now)
        world.await_request("bulk-upload")
        return running

    def is_whole(self, printed: str) -> bool:
        lines = printed.splitlines()
        return len(lines) == 2 and "Uploaded 1 file" in lines[0] and lines[1] == str(self._size)

    def is_start(self, printed: str) -> bool:
        return len(printed.splitlines()) <= 2


class _Log(Stage):
    """A followed log, while no cell runs."""

    def enter(self, world: World) -> None:
        self._text = ""
        world.on_message = self._observe
        running = Running(world, f"%%session --async\n{_LOG}")
        running.wait(lambda _message: self._text != "")
        assert running.end().reply["status"] == "ok"

    def leave(self, world: World, running: Running) -> None:
        if self._is_running():
            running.wait(lambda _message: not self._is_running())
        world.on_message = lambda _message: None
        heading, _, lines = self._text.partition("\n")
        outcome = heading.rpartition("  (")[2].partition(" · ")[0]
        if outcome == "exited 0":
            assert lines + "\n" == LINES
        else:
            assert outcome.startswith("no longer followed: "), heading
            assert LINES.startswith(lines)

    def _observe(self, message: dict[str, Any]) -> None:
        if message["msg_type"] in ("display_data", "update_display_data"):
            text = message["content"]["data"].get("text/plain", "")
            if text.startswith("$ "):
                self._text = text

    def _is_running(self) -> bool:
        return "  (still running · " in self._text


class _Breakpoint(Stage):
    def enter(self, world: World) -> Running:
        self._debugger = Debugger(world.driver)
        msg_id, self._thread = stop_at_the_breakpoint(self._debugger)
        return Running(world, msg_id=msg_id)

    def answer(self, world: World, running: Running) -> None:
        arguments = {"threadId": self._thread}
        content = {"type": "request", "seq": 1000, "command": "continue", "arguments": arguments}
        client = world.driver.client
        client.control_channel.send(client.session.msg("debug_request", content))

    def leave(self, world: World, running: Running) -> None:
        if not running.answer.contents("error"):
            with suppress(AssertionError, Empty):
                self._debugger.ask("disconnect", restart=False, terminateDebuggee=False)


CREATING = _Early("sandbox being made", lambda world: world.await_creation())
STARTING = _Early("interpreter starting", lambda world: world.await_launch())
SILENT = Stage("silent cell", _SILENT)
PRINTING = _Printing("printing cell", _PRINTING, LINES)
INPUT = _Input("input()", "print('got', input('name? '))", "got me\n")
SHELL = _Command("%sh", "%sh sleep {}; echo shell", "shell\n")
SESSION = _Command("%session run", "%session run default sleep {}; echo session", "session\n")
UPLOAD = _Upload("%upload")
LOG = _Log("followed log")
BREAKPOINT = _Breakpoint("breakpoint", CELL, "42\n")
IDLE = _Idle("idle")

STAGES = (
    CREATING,
    STARTING,
    SILENT,
    PRINTING,
    INPUT,
    SHELL,
    SESSION,
    UPLOAD,
    LOG,
    BREAKPOINT,
    IDLE,
)
