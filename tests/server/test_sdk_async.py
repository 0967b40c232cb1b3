"""The official SDK's asynchronous half against the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import daytona as sdk  # imports its classes when they are used
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.conftest import EmbeddedServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def daytona(server: EmbeddedServer) -> AsyncIterator[sdk.AsyncDaytona]:
    config = sdk.DaytonaConfig(api_key=server.api_key, api_url=server.api_url, target="local")
    async with sdk.AsyncDaytona(config) as daytona:
        yield daytona


@pytest.fixture
async def sandbox(daytona: sdk.AsyncDaytona) -> AsyncIterator[sdk.AsyncSandbox]:
    sandbox = await daytona.create(sdk.CreateSandboxFromSnapshotParams(labels={"async": "1"}))
    yield sandbox
    await sandbox.delete()


async def test_sandbox(daytona: sdk.AsyncDaytona, sandbox: sdk.AsyncSandbox) -> None:
    assert (await daytona.get(sandbox.name)).id == sandbox.id
    query = sdk.ListSandboxesQuery(labels={"async": "1"})
    assert [one.id async for one in daytona.list(query)] == [sandbox.id]
    assert await sandbox.set_labels({"async": "2"}) == {"async": "2"}
    await sandbox.set_autostop_interval(5)
    await sandbox.set_auto_archive_interval(60)
    await sandbox.set_auto_delete_interval(30)
    await sandbox.set_public(True)
    await sandbox.refresh_activity()
    await sandbox.refresh_data()
    assert (sandbox.auto_stop_interval, sandbox.auto_delete_interval, sandbox.public) == (5, 30, True)
    await sandbox.set_auto_pause_interval(20)
    await sandbox.pause()
    assert sandbox.state is not None
    assert sandbox.state.value == "paused"
    await sandbox.stop()
    await sandbox.wait_for_sandbox_stop()
    assert sandbox.state is not None
    assert sandbox.state.value == "stopped"
    await sandbox.start()
    await sandbox.wait_for_sandbox_start()
    assert await sandbox.get_work_dir() == "/workspace"
    assert await sandbox.get_user_home_dir() == await sandbox.get_user_root_dir() == "/home/daytona"
    assert re.fullmatch(r"http://127\.[0-9.]+:4000", (await sandbox.get_preview_link(4000)).url)
    assert (await sandbox.get_metrics_latest()).mem_used > 0
    with pytest.raises(sdk.DaytonaNotFoundError):
        await daytona.get("nobody")


async def test_process(sandbox: sdk.AsyncSandbox) -> None:
    process = sandbox.process
    assert (await process.exec("echo $A", env={"A": "b"})).result == "b\n"
    with pytest.raises(sdk.DaytonaTimeoutError):
        await process.exec("sleep 10", timeout=1)
    params = sdk.CodeRunParams(argv=["x"])
    assert (await process.code_run("import sys; print(sys.argv[1])", params)).result == "x\n"
    await process.create_session("s")
    done = await process.execute_session_command("s", sdk.SessionExecuteRequest(command="echo a; echo b >&2"))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "a\n", "b\n")
    request = sdk.SessionExecuteRequest(command="read x; echo $x; seq 100000; exit 3", run_async=True)
    running = await process.execute_session_command("s", request)
    await process.send_session_command_input("s", running.cmd_id, "in")
    out: list[str] = []
    err: list[str] = []
    await process.get_session_command_logs_async("s", running.cmd_id, out.append, err.append)
    expected = "in\nin\n" + "".join(f"{i}\n" for i in range(1, 100001))
    assert "".join(out) == expected
    assert (await process.get_session_command_logs("s", running.cmd_id)).stdout == expected
    assert (await process.get_session_command("s", running.cmd_id)).exit_code == 3
    assert len((await process.get_session("s")).commands) == 2
    assert [one.session_id for one in await process.list_sessions()] == ["s"]
    await process.delete_session("s")
    assert (await process.get_entrypoint_session()).commands == []
    assert (await process.get_entrypoint_logs()).output == ""
    await process.get_entrypoint_logs_async(out.append, err.append)


async def test_terminals(sandbox: sdk.AsyncSandbox) -> None:
    shown = bytearray()
    handle = await sandbox.process.create_pty_session(
        "t", on_data=shown.extend, cwd="/tmp", envs={"A": "b"}, pty_size=sdk.PtySize(rows=30, cols=99)
    )
    await handle.send_input("pwd; echo $A; stty size; exit 7\n")
    result = await handle.wait()
    assert b"/tmp\nb\n30 99\n" in shown.replace(b"\r", b"")
    assert (result.exit_code, result.error) == (7, None)

    handle = await sandbox.process.create_pty_session("u", on_data=shown.extend)
    other = await sandbox.process.connect_pty_session("u", on_data=shown.extend)
    assert (await handle.resize(sdk.PtySize(rows=40, cols=120))).cols == 120
    assert (await sandbox.process.get_pty_session_info("u")).rows == 40
    assert "u" in [one.id for one in await sandbox.process.list_pty_sessions()]
    with pytest.raises(sdk.DaytonaError):
        await sandbox.process.create_pty_session("u", on_data=shown.extend)
    assert (await sandbox.process.resize_pty_session("u", sdk.PtySize(rows=41, cols=121))).rows == 41
    await handle.wait_for_connection()
    assert handle.is_connected()
    assert (handle.session_id, handle.exit_code, handle.error) == ("u", None, None)
    await handle.kill()
    assert (await other.wait()).exit_code == 137
    await other.disconnect()
    await handle.disconnect()
    await (await sandbox.process.create_pty_session("v", on_data=shown.extend)).disconnect()
    await sandbox.process.kill_pty_session("v")
    with pytest.raises(sdk.DaytonaError):
        await sandbox.process.get_pty_session_info("v")


async def test_code_interpreter(sandbox: sdk.AsyncSandbox) -> None:
    interpreter = sandbox.code_interpreter
    await interpreter.run_code("x = 1")
    assert (await interpreter.run_code("print(x)")).stdout == "1\n"
    error = (await interpreter.run_code("1/0")).error
    assert error is not None
    assert error.name == "ZeroDivisionError"
    with pytest.raises(sdk.DaytonaTimeoutError):
        await interpreter.run_code("while True: pass", timeout=1)
    context = await interpreter.create_context(cwd="/tmp")
    assert [one.id for one in await interpreter.list_contexts()] == [context.id]
    result = await interpreter.run_code("import os; print(os.getcwd())", context=context)
    assert result.stdout == "/tmp\n"
    await interpreter.delete_context(context)
    assert await interpreter.list_contexts() == []


async def test_files(sandbox: sdk.AsyncSandbox) -> None:
    fs = sandbox.fs
    await fs.upload_file(b"abc", "d/f")
    assert await fs.download_file("d/f") == b"abc"
    await fs.upload_files([sdk.FileUpload(b"1", "many/1")])
    [result] = await fs.download_files([sdk.FileDownloadRequest(source="many/1")])
    assert result.result == b"1"
    await fs.upload_file_stream(b"stream", "d/g")
    assert b"".join([piece async for piece in await fs.download_file_stream("d/g")]) == b"stream"
    await fs.create_folder("d/e", "755")
    assert [one.name for one in await fs.list_files("d")] == ["e", "f", "g"]
    assert (await fs.get_file_info("d/f")).size == 3
    await fs.move_files("d/f", "d/h")
    await fs.set_file_permissions("d/h", mode="640")
    assert [match.line for match in await fs.find_files("d", "abc")] == [1]
    assert (await fs.search_files("d", "h")).files == ["/workspace/d/h"]
    assert (await fs.replace_in_files(["d/h"], "b", "B"))[0].success
    await fs.delete_file("d", recursive=True)
    with pytest.raises(sdk.DaytonaNotFoundError):
        await fs.get_file_info("d")
