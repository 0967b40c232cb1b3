"""The official SDK against the server: Process, CodeInterpreter, PTY handle, FileSystem and Sandbox."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING

import daytona as sdk  # imports its classes when they are used
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.conftest import EmbeddedServer


@pytest.fixture(scope="module")
def daytona(server: EmbeddedServer) -> sdk.Daytona:
    return sdk.Daytona(sdk.DaytonaConfig(api_key=server.api_key, api_url=server.api_url, target="local"))


@pytest.fixture(scope="module")
def sandbox(daytona: sdk.Daytona) -> Iterator[sdk.Sandbox]:
    sandbox = daytona.create(
        sdk.CreateSandboxFromSnapshotParams(labels={"made-by": "test"}, env_vars={"MINE": "1"})
    )
    yield sandbox
    sandbox.delete()


def state_of(sandbox: sdk.Sandbox) -> str | None:
    return sandbox.state.value if sandbox.state is not None else None


class TestSandbox:
    def test_create_get_list(self, daytona: sdk.Daytona, sandbox: sdk.Sandbox) -> None:
        assert state_of(sandbox) == "started"
        assert daytona.get(sandbox.id).id == daytona.get(sandbox.name).id == sandbox.id
        assert [one.id for one in daytona.list(sdk.ListSandboxesQuery(labels={"made-by": "test"}))] == [
            sandbox.id
        ]
        assert list(daytona.list(sdk.ListSandboxesQuery(labels={"made-by": "nobody"}))) == []
        assert sandbox.process.exec("echo $MINE $DAYTONA_SANDBOX_ID").result == f"1 {sandbox.id}\n"

    def test_list_pages(self, daytona: sdk.Daytona) -> None:
        created = [
            daytona.create(sdk.CreateSandboxFromSnapshotParams(labels={"page": "1"})) for _ in range(5)
        ]
        query = sdk.ListSandboxesQuery(labels={"page": "1"}, limit=2)
        assert [one.id for one in daytona.list(query)] == [one.id for one in reversed(created)]
        for one in created:
            one.delete()
        assert list(daytona.list(query)) == []

    def test_stop_keeps_the_files(self, daytona: sdk.Daytona) -> None:
        sandbox = daytona.create()
        sandbox.fs.upload_file(b"kept", "kept.txt")
        sandbox.process.create_session("s")
        sandbox.stop()
        assert state_of(sandbox) == "stopped"
        with pytest.raises(sdk.DaytonaError, match="not started"):
            sandbox.process.exec("true")
        sandbox.start()
        assert sandbox.fs.download_file("kept.txt") == b"kept"
        assert sandbox.process.list_sessions() == []
        sandbox.delete(wait=True)
        assert state_of(sandbox) == "destroyed"
        with pytest.raises(sdk.DaytonaNotFoundError):
            daytona.get(sandbox.id)

    def test_pause_keeps_the_processes(self, daytona: sdk.Daytona) -> None:
        sandbox = daytona.create()
        pid = sandbox.process.exec("sleep 600 > /dev/null 2>&1 & echo $!").result.strip()
        sandbox.pause()
        assert state_of(sandbox) == "paused"
        sandbox.start()
        assert sandbox.process.exec(f"kill -0 {pid} && echo alive").result == "alive\n"
        sandbox.set_auto_pause_interval(5)
        sandbox.refresh_data()
        assert sandbox.auto_pause_interval == 5
        sandbox.delete()

    def test_labels_and_intervals(self, daytona: sdk.Daytona) -> None:
        sandbox = daytona.create(
            sdk.CreateSandboxFromSnapshotParams(auto_stop_interval=7, name="with-a-name")
        )
        assert (sandbox.name, sandbox.auto_stop_interval) == ("with-a-name", 7)
        assert sandbox.set_labels({"a": "b"}) == {"a": "b"}
        sandbox.set_autostop_interval(5)
        sandbox.set_auto_archive_interval(60)
        sandbox.set_auto_delete_interval(30)
        before = sandbox.last_activity_at
        sandbox.refresh_activity()
        sandbox.refresh_data()
        assert sandbox.labels == {"a": "b"}
        assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval) == (5, 60)
        assert sandbox.auto_delete_interval == 30
        assert str(sandbox.last_activity_at) > str(before)
        with pytest.raises(sdk.DaytonaError, match="already exists"):
            daytona.create(sdk.CreateSandboxFromSnapshotParams(name="with-a-name"))
        sandbox.delete()

    def test_waiting_and_being_public(self, daytona: sdk.Daytona) -> None:
        sandbox = daytona.create()
        sandbox.set_public(True)
        sandbox.refresh_data()
        assert sandbox.public
        sandbox.wait_for_sandbox_start()
        sandbox.stop()
        sandbox.wait_for_sandbox_stop()
        sandbox.delete()

    def test_metrics(self, sandbox: sdk.Sandbox) -> None:
        first = sandbox.get_metrics_latest()
        keeping = sandbox.process.exec("(while :; do :; done) >/dev/null 2>&1 & echo $!").result.strip()
        sandbox.process.exec("sleep 0.2")
        second = sandbox.get_metrics_latest()
        sandbox.process.exec(f"kill {keeping}")
        assert first.cpu_count == second.cpu_count >= 1
        assert first.cpu_used_pct == 0.0 < second.cpu_used_pct
        assert 0 < second.mem_used < second.mem_total
        assert 0 < second.disk_used < second.disk_total

    def test_directories_and_preview(self, sandbox: sdk.Sandbox) -> None:
        assert sandbox.get_work_dir() == "/workspace"
        assert sandbox.get_user_home_dir() == sandbox.get_user_root_dir() == "/home/daytona"
        preview = sandbox.get_preview_link(3456)
        assert re.fullmatch(r"http://127(\.\d+){3}:3456", preview.url)
        assert preview.token


class TestProcess:
    def test_exec(self, sandbox: sdk.Sandbox) -> None:
        response = sandbox.process.exec("pwd; echo $A; exit 2", cwd="/tmp", env={"A": "b"})
        assert (response.exit_code, response.result) == (2, "/tmp\nb\n")
        with pytest.raises(sdk.DaytonaTimeoutError):
            sandbox.process.exec("sleep 10", timeout=1)

    def test_code_run(self, sandbox: sdk.Sandbox) -> None:
        params = sdk.CodeRunParams(argv=["x"], env={"A": "b"})
        response = sandbox.process.code_run("import os, sys; print(sys.argv, os.environ['A'])", params)
        assert (response.exit_code, response.result) == (0, "['-', 'x'] b\n")

    def test_charts(self, sandbox: sdk.Sandbox) -> None:
        code = """if True:
            import matplotlib.pyplot as plt
            plt.plot([1, 2], [3, 4], label='l')
            plt.title('T')
            plt.show()
            print(1)
        """
        response = sandbox.process.code_run(code)
        assert response.exit_code == 0, response.result
        assert response.result == "1\n"
        assert response.artifacts is not None
        [chart] = response.artifacts.charts or []
        assert (chart.title, chart.type) == ("T", "line")
        assert chart.png is not None
        assert chart.png.startswith("iVBOR")
        assert chart.elements[0].label == "l"
        assert [list(point) for point in chart.elements[0].points or []] == [[1, 3], [2, 4]]

    def test_sessions(self, sandbox: sdk.Sandbox) -> None:
        process = sandbox.process
        process.create_session("sdk")
        done = process.execute_session_command(
            "sdk", sdk.SessionExecuteRequest(command="cd /tmp; pwd; echo e >&2")
        )
        assert (done.exit_code, done.stdout, done.stderr) == (0, "/tmp\n", "e\n")
        running = process.execute_session_command(
            "sdk", sdk.SessionExecuteRequest(command="read a; echo got $a; pwd", run_async=True)
        )
        process.send_session_command_input("sdk", running.cmd_id, "input")
        out: list[str] = []
        err: list[str] = []
        asyncio.run(process.get_session_command_logs_async("sdk", running.cmd_id, out.append, err.append))
        assert "".join(out) == "input\ngot input\n/tmp\n"
        assert "".join(err) == ""
        logs = process.get_session_command_logs("sdk", running.cmd_id)
        assert (logs.stdout, logs.stderr) == ("input\ngot input\n/tmp\n", "")
        command = process.get_session_command("sdk", running.cmd_id)
        assert (command.exit_code, command.command) == (0, "read a; echo got $a; pwd")
        assert [one.id for one in process.get_session("sdk").commands] == [done.cmd_id, running.cmd_id]
        assert [one.session_id for one in process.list_sessions()] == ["sdk"]
        process.delete_session("sdk")
        assert process.list_sessions() == []

    def test_the_entrypoint(self, sandbox: sdk.Sandbox) -> None:
        assert sandbox.process.get_entrypoint_session().session_id == "entrypoint"
        assert sandbox.process.get_entrypoint_logs().stdout == ""
        asyncio.run(sandbox.process.get_entrypoint_logs_async(print, print))

    def test_terminals(self, sandbox: sdk.Sandbox) -> None:
        handle = sandbox.process.create_pty_session(
            "t", cwd="/tmp", envs={"A": "b c"}, pty_size=sdk.PtySize(rows=30, cols=99)
        )
        handle.send_input("pwd; echo $A; stty size; exit 7\n")
        shown: list[bytes] = []
        result = handle.wait(on_data=shown.append)
        output = b"".join(shown).replace(b"\r", b"")
        assert b"/tmp\nb c\n30 99\n" in output
        assert (result.exit_code, result.error) == (7, None)

        handle = sandbox.process.create_pty_session("u")
        other = sandbox.process.connect_pty_session("u")
        info = handle.resize(sdk.PtySize(rows=40, cols=120))
        assert (info.rows, info.cols) == (40, 120)
        assert sandbox.process.get_pty_session_info("u").cols == 120
        assert "u" in [one.id for one in sandbox.process.list_pty_sessions()]
        assert sandbox.process.resize_pty_session("u", sdk.PtySize(rows=41, cols=121)).rows == 41
        handle.wait_for_connection()
        assert handle.is_connected()
        assert (handle.session_id, handle.exit_code, handle.error) == ("u", None, None)
        handle.kill()
        assert other.wait().exit_code == 137
        for one in (handle, other):
            one.disconnect()
            assert not one.is_connected()
        with pytest.raises(sdk.DaytonaError, match="not found"):
            sandbox.process.get_pty_session_info("u")

        sandbox.process.create_pty_session("v").disconnect()
        sandbox.process.kill_pty_session("v")
        with pytest.raises(sdk.DaytonaError, match="not found"):
            sandbox.process.get_pty_session_info("v")


class TestCodeInterpreter:
    def test_state_and_streams(self, sandbox: sdk.Sandbox) -> None:
        run = sandbox.code_interpreter.run_code
        assert run("x = 41").error is None
        out: list[str] = []
        result = run(
            "import sys\nprint(x + 1)\nprint('e', file=sys.stderr)", on_stdout=lambda m: out.append(m.output)
        )
        assert (result.stdout, result.stderr, "".join(out)) == ("42\n", "e\n", "42\n")

    def test_errors_have_their_traceback(self, sandbox: sdk.Sandbox) -> None:
        error = sandbox.code_interpreter.run_code("def f():\n    return 1/0\nf()").error
        assert error is not None
        assert (error.name, error.value) == ("ZeroDivisionError", "division by zero")
        assert "return 1/0" in error.traceback
        syntax = sandbox.code_interpreter.run_code("if").error
        assert syntax is not None
        assert syntax.name == "SyntaxError"

    def test_a_timeout_keeps_the_state(self, sandbox: sdk.Sandbox) -> None:
        sandbox.code_interpreter.run_code("y = 1")
        with pytest.raises(sdk.DaytonaTimeoutError):
            sandbox.code_interpreter.run_code("import time\ntime.sleep(20)", timeout=1)
        assert sandbox.code_interpreter.run_code("print(y)").stdout == "1\n"

    def test_a_large_output_is_complete(self, sandbox: sdk.Sandbox) -> None:
        result = sandbox.code_interpreter.run_code(
            "for i in range(100_000): print(i)\nprint('x' * 3_000_000)"
        )
        assert result.stdout == "".join(f"{i}\n" for i in range(100_000)) + "x" * 3_000_000 + "\n"

    def test_contexts(self, sandbox: sdk.Sandbox) -> None:
        interpreter = sandbox.code_interpreter
        context = interpreter.create_context(cwd="/tmp")
        assert context.language == "python"
        assert [one.id for one in interpreter.list_contexts()] == [context.id]
        interpreter.run_code("z = 1", context=context)
        result = interpreter.run_code(
            "import os; print(z, os.getcwd(), os.environ['E'])", context=context, envs={"E": "v"}
        )
        assert result.stdout == "1 /tmp v\n"
        other = interpreter.run_code("z").error
        assert other is not None
        assert other.name == "NameError"
        interpreter.delete_context(context)
        assert interpreter.list_contexts() == []
        with pytest.raises(sdk.DaytonaError, match="not found"):
            interpreter.run_code("1", context=context)

    def test_an_interpreter_that_dies_says_so(self, sandbox: sdk.Sandbox) -> None:
        error = sandbox.code_interpreter.run_code("import os; os._exit(3)").error
        assert error is not None
        assert "state is lost" in error.value
        assert sandbox.code_interpreter.run_code("print(1)").stdout == "1\n"


class TestFileSystem:
    def test_up_and_down(self, sandbox: sdk.Sandbox, tmp_path: Path) -> None:
        fs = sandbox.fs
        content = os.urandom(3_000_000)
        fs.upload_file(content, "dir/file.bin")
        assert fs.download_file("dir/file.bin") == content
        (tmp_path / "local").write_bytes(b"local\r\n--boundary\r\n")
        fs.upload_file(str(tmp_path / "local"), 'dir/örtlich "x".txt')
        fs.download_file('dir/örtlich "x".txt', str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == b"local\r\n--boundary\r\n"
        fs.upload_files([sdk.FileUpload(b"1", "many/1"), sdk.FileUpload(b"", "many/2")])
        results = fs.download_files(
            [sdk.FileDownloadRequest(source="many/1"), sdk.FileDownloadRequest(source="many/none")]
        )
        assert (results[0].result, results[0].error) == (b"1", None)
        assert results[1].error is not None
        assert "no such file" in results[1].error
        fs.upload_file_stream(streamed := b"streamed", "streamed")
        assert b"".join(fs.download_file_stream("streamed")) == streamed

    def test_listing_and_info(self, sandbox: sdk.Sandbox) -> None:
        fs = sandbox.fs
        fs.create_folder("tree/deep", "750")
        fs.upload_file(b"12345", "tree/deep/file")
        assert [one.name for one in fs.list_files("tree")] == ["deep"]
        assert [one.name for one in fs.list_files("tree", depth=2)] == ["deep", "deep/file"]
        info = fs.get_file_info("tree/deep")
        assert (info.is_dir, info.permissions, info.mode) == (True, "0750", "drwxr-x---")
        info = fs.get_file_info("tree/deep/file")
        assert (info.is_dir, info.size, info.name, info.owner) == (False, 5, "file", "daytona")
        with pytest.raises(sdk.DaytonaNotFoundError):
            fs.get_file_info("tree/none")

    def test_move_permissions_delete(self, sandbox: sdk.Sandbox) -> None:
        fs = sandbox.fs
        fs.upload_file(b"x", "from/a")
        fs.move_files("from/a", "from/b")
        with pytest.raises(sdk.DaytonaNotFoundError):
            fs.move_files("from/a", "from/c")
        fs.set_file_permissions("from/b", mode="600")
        assert fs.get_file_info("from/b").permissions == "0600"
        with pytest.raises(sdk.DaytonaError):
            fs.delete_file("from")
        fs.delete_file("from", recursive=True)
        with pytest.raises(sdk.DaytonaNotFoundError):
            fs.delete_file("from")

    def test_find_search_replace(self, sandbox: sdk.Sandbox) -> None:
        fs = sandbox.fs
        fs.upload_file(b"one\ntwo three\n", "text/a.txt")
        fs.upload_file(b"\0two", "text/b.bin")
        [match] = fs.find_files("text", "two")
        assert (match.file, match.line, match.content) == ("/workspace/text/a.txt", 2, "two three")
        assert fs.search_files("text", "*.txt").files == ["/workspace/text/a.txt"]
        good, bad = fs.replace_in_files(["text/a.txt", "text/none"], "two", "2")
        assert (good.success, bad.success) == (True, False)
        assert fs.download_file("text/a.txt") == b"one\n2 three\n"
