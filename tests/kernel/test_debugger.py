"""The debugger with debugpy in the sandbox, from the first request to the last."""

from __future__ import annotations

from typing import Any

from .driver import Driver, wait_until

CELL = "def double(n):\n    m = n * 2\n    return m\n\nx = double(21)\nprint(x)"


class Debugger:
    """A front end's side of the debug adapter protocol."""

    def __init__(self, kernel: Driver) -> None:
        self.kernel = kernel
        self._sequence = 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request on the control channel, check that it succeeds, and return its answer."""
        self._sequence += 1
        request = {"type": "request", "seq": self._sequence, "command": command, "arguments": arguments}
        reply = self.kernel.request("debug_request", request, "control")
        assert reply["success"], reply
        return dict(reply.get("body") or {})

    def start(self) -> None:
        self.ask("initialize", adapterID="", clientID="test", linesStartAt1=True, columnsStartAt1=True)
        self.ask("attach")

    def set_breakpoint(self, cell: str, line: int) -> None:
        path = self.ask("dumpCell", code=cell)["sourcePath"]
        (set_,) = self.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}])[
            "breakpoints"
        ]
        assert set_["verified"]
        self.ask("configurationDone")

    def wait_until_stopped(self) -> int:
        """Wait for the event on iopub, and return the stopped thread."""
        while (event := self.kernel.next_output("debug_event")["content"])["event"] != "stopped":
            pass
        return int(event["body"]["threadId"])

    def top_frame(self, thread: int) -> dict[str, Any]:
        frames = self.ask("stackTrace", threadId=thread)["stackFrames"]
        # The user's call stack has no frames of the kernel.
        assert [frame["name"] for frame in frames] == ["double", "<module>"]
        return dict(frames[0])

    def locals(self, frame: dict[str, Any]) -> dict[str, str]:
        scopes = {scope["name"]: scope for scope in self.ask("scopes", frameId=frame["id"])["scopes"]}
        reference = scopes["Locals"]["variablesReference"]
        variables = self.ask("variables", variablesReference=reference)["variables"]
        return {each["name"]: each["value"] for each in variables}


def stop_at_the_breakpoint(debugger: Debugger) -> tuple[str, int]:
    """Run the cell up to its second line; return its request and the stopped thread."""
    debugger.start()
    debugger.set_breakpoint(CELL, 2)
    msg_id = debugger.kernel.send(CELL)
    return msg_id, debugger.wait_until_stopped()


def test_a_breakpoint_in_a_cell_from_start_to_end(kernel: Driver) -> None:
    debugger = Debugger(kernel)
    assert not debugger.ask("debugInfo")["isStarted"]
    msg_id, thread = stop_at_the_breakpoint(debugger)
    frame = debugger.top_frame(thread)
    assert frame["line"] == 2
    assert debugger.locals(frame) == {"n": "21"}
    rich = debugger.ask("richInspectVariables", variableName="n", frameId=frame["id"])
    assert rich["data"] == {"text/plain": "21"}
    assert debugger.ask("evaluate", expression="n + 1", frameId=frame["id"])["result"] == "22"
    info = debugger.ask("debugInfo")
    assert info["isStarted"]
    assert thread in info["stoppedThreads"]
    assert debugger.ask("source", source={"path": frame["source"]["path"]})["content"] == CELL

    debugger.ask("next", threadId=thread)
    frame = debugger.top_frame(debugger.wait_until_stopped())
    assert frame["line"] == 3
    assert debugger.locals(frame) == {"m": "42", "n": "21"}
    debugger.ask("continue", threadId=thread)
    answer = kernel.collect(msg_id)
    assert (answer.stdout, answer.reply["status"]) == ("42\n", "ok")

    wait_until(lambda: not debugger.ask("debugInfo")["stoppedThreads"])
    names = [each["name"] for each in debugger.ask("inspectVariables")["variables"]]
    assert {"x", "function variables"} <= set(names)
    assert debugger.ask("richInspectVariables", variableName="x")["data"] == {"text/plain": "42"}
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)
    assert not debugger.ask("debugInfo")["isStarted"]
    assert kernel.run("double(4)").result == "8"


def test_introspection_requests_are_answered_at_a_breakpoint(kernel: Driver) -> None:
    debugger = Debugger(kernel)
    msg_id, thread = stop_at_the_breakpoint(debugger)
    reply = kernel.request("complete_request", {"code": "doub", "cursor_pos": 4})
    assert reply["matches"] == ["double"]
    reply = kernel.request("inspect_request", {"code": "double", "cursor_pos": 6, "detail_level": 0})
    assert reply["found"]
    debugger.ask("continue", threadId=thread)
    assert kernel.collect(msg_id).stdout == "42\n"
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)


def test_an_interpreter_that_replaces_another_can_be_debugged(kernel: Driver) -> None:
    for end in ("restart", "kill"):
        debugger = Debugger(kernel)
        msg_id, thread = stop_at_the_breakpoint(debugger)
        debugger.ask("continue", threadId=thread)
        assert kernel.collect(msg_id).stdout == "42\n"
        if end == "restart":
            kernel.client.stop_channels()
            kernel.manager.restart_kernel()
            kernel.connect()
        else:
            kernel.run("import os; os.kill(os.getpid(), 9)")
    debugger = Debugger(kernel)
    assert not debugger.ask("debugInfo")["isStarted"]
    msg_id, thread = stop_at_the_breakpoint(debugger)
    debugger.ask("continue", threadId=thread)
    assert kernel.collect(msg_id).stdout == "42\n"
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)


def test_an_interpreter_that_ends_at_a_breakpoint_fails_its_cell(kernel: Driver) -> None:
    debugger = Debugger(kernel)
    pid = kernel.run("import os; os.getpid()").result
    msg_id, _ = stop_at_the_breakpoint(debugger)
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    kernel.send_message("execute_request", {"code": f"os.kill({pid}, 9)"}, subshell_id)
    assert kernel.collect(msg_id).error["ename"] == "InterpreterDiedError"
    assert kernel.run("1 + 1").result == "2"


def test_kernel_info_lists_the_debugger_only_if_the_interpreter_has_one(own_kernel: Driver) -> None:
    own_kernel.run("1")
    features = own_kernel.request("kernel_info_request", {})["supported_features"]
    assert features == ["kernel subshells", "debugger"]
    own_kernel.run(
        "import os, pathlib, sysconfig\n"
        "pathlib.Path(sysconfig.get_path('purelib'), 'debugpy.py').write_text('raise ImportError')\n"
        "os.kill(os.getpid(), 9)"
    )
    own_kernel.run("1")
    assert own_kernel.request("kernel_info_request", {})["supported_features"] == ["kernel subshells"]


def test_the_debugger_leaves_the_hook_of_a_cell(own_kernel: Driver) -> None:
    """The first request to the debugger imports debugpy, which sets the hook, too."""
    assert own_kernel.run("breakpoint()").reply["status"] == "ok"
    own_kernel.run("import sys; sys.breakpointhook = lambda: print('my hook')")
    Debugger(own_kernel).start()
    assert own_kernel.run("breakpoint()").stdout == "my hook\n"


def test_debugpy_is_imported_before_jedi_and_not_before_somebody_needs_it(own_kernel: Driver) -> None:
    """Both change `sys.path` for a moment, and Jedi does so in a thread."""
    assert own_kernel.run("import sys; 'debugpy.server' in sys.modules, 'jedi' in sys.modules").result == (
        "(False, False)"
    )
    own_kernel.request("complete_request", {"code": "sys.mod", "cursor_pos": 7})
    names = own_kernel.run("[name for name in sys.modules if name in ('debugpy.server', 'jedi')]").result
    assert names == "['debugpy.server', 'jedi']"
