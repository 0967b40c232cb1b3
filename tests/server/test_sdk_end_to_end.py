"""The official SDK as its users meet it, with servers of both profiles: files, runs, sessions, a terminal."""

from __future__ import annotations

import gc
import io
from typing import TYPE_CHECKING

import daytona as sdk  # imports its classes when they are used
import pytest

from tests.conftest import both_profiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daytona_kernel import DaytonaConfig as OwnConfig

pytestmark = [both_profiles]
CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def daytona(profiled: OwnConfig) -> sdk.Daytona:
    return sdk.Daytona(sdk.DaytonaConfig(api_key=profiled.api_key, api_url=profiled.api_url, target="local"))


@pytest.fixture(scope="module")
def sandbox(daytona: sdk.Daytona) -> Iterator[sdk.Sandbox]:
    sandbox = daytona.create(sdk.CreateSandboxFromSnapshotParams(language="python"))
    yield sandbox
    sandbox.delete()


def test_a_new_sandbox_tells_about_itself(daytona: sdk.Daytona, sandbox: sdk.Sandbox) -> None:
    assert sandbox.organization_id
    assert sandbox.cpu > 0
    assert sandbox.memory > 0
    assert sandbox.disk > 0
    assert sandbox.created_at
    assert sandbox.updated_at
    sandbox.set_auto_delete_interval(-1)
    assert sandbox.auto_delete_interval == -1
    assert sandbox.id in [each.id for each in daytona.list()]


def test_transfers_tell_their_progress(sandbox: sdk.Sandbox) -> None:
    sent: list[sdk.UploadProgress] = []
    received: list[sdk.DownloadProgress] = []
    sandbox.fs.create_folder("a/deep/folder", "755")
    sandbox.fs.upload_file_stream(io.BytesIO(CONTENT), "a/deep/folder/file", on_progress=sent.append)
    pieces = sandbox.fs.download_file_stream("a/deep/folder/file", on_progress=received.append)
    assert b"".join(pieces) == CONTENT
    assert sent[-1].bytes_sent == received[-1].bytes_received == len(CONTENT)
    assert {each.total_bytes for each in received} == {len(CONTENT)}
    for counts in ([each.bytes_sent for each in sent], [each.bytes_received for each in received]):
        assert counts == sorted(counts)


def test_what_is_not_there_is_an_error(sandbox: sdk.Sandbox) -> None:
    with pytest.raises(sdk.DaytonaError):
        b"".join(sandbox.fs.download_file_stream("none"))
    with pytest.raises(sdk.DaytonaError):
        sandbox.fs.download_file("none")
    assert sandbox.process.exec("ls /none").exit_code != 0


def test_texts_are_found_and_replaced(sandbox: sdk.Sandbox) -> None:
    sandbox.fs.upload_file(b"first\nthe old word\n", "texts/one.txt")
    sandbox.fs.upload_file(b"nothing", "texts/two.md")
    (match,) = sandbox.fs.find_files("texts", "old word")
    assert (match.line, match.content.strip()) == (2, "the old word")
    assert [each.rpartition("/")[2] for each in sandbox.fs.search_files("texts", "*.txt").files] == [
        "one.txt"
    ]
    path = match.file
    (result,) = sandbox.fs.replace_in_files([path], "old", "new")
    assert result.success
    assert sandbox.fs.download_file("texts/one.txt") == b"first\nthe new word\n"


def test_a_sandbox_outlives_the_client_that_made_it(profiled: OwnConfig) -> None:
    config = sdk.DaytonaConfig(api_key=profiled.api_key, api_url=profiled.api_url, target="local")
    sandbox = sdk.Daytona(config).create()
    gc.collect()
    sandbox.fs.upload_file(b"content", "file")
    assert b"".join(sandbox.fs.download_file_stream("file")) == b"content"
    sandbox.delete()


def test_one_off_runs(sandbox: sdk.Sandbox) -> None:
    process = sandbox.process
    answer = process.exec('echo "$A $B"; echo err >&2; exit 42', cwd="/tmp", env={"A": "1", "B": "2"})
    assert (answer.exit_code, sorted(answer.result.splitlines())) == (42, ["1 2", "err"])
    with pytest.raises(sdk.DaytonaError, match="timeout"):
        process.exec("sleep 30", timeout=1)
    document = process.exec("python3 - <<'END'\nprint('from a document')\nEND", timeout=60)
    assert document.result == "from a document\n"
    run = process.code_run(
        "import os, sys\nsys.stderr.write('err')\nprint(sys.argv[1:], os.environ['A'])",
        sdk.CodeRunParams(argv=["x", "y"], env={"A": "1"}),
    )
    assert run.exit_code == 0
    assert "['x', 'y'] 1" in run.result
    assert "err" in run.result
    assert process.code_run("def incomplete(").exit_code != 0


def test_a_session_keeps_its_state_and_its_name(sandbox: sdk.Sandbox) -> None:
    process = sandbox.process
    process.create_session("one")
    with pytest.raises(sdk.DaytonaError):
        process.create_session("one")
    process.execute_session_command("one", sdk.SessionExecuteRequest(command="export KEPT=value; cd /tmp"))
    done = process.execute_session_command(
        "one", sdk.SessionExecuteRequest(command="echo $KEPT $PWD; echo err >&2")
    )
    assert (done.exit_code, done.stdout, done.stderr) == (0, "value /tmp\n", "err\n")
    logs = process.get_session_command_logs("one", done.cmd_id)
    assert (logs.stdout, logs.stderr) == ("value /tmp\n", "err\n")
    assert "one" in [each.session_id for each in process.list_sessions()]
    process.delete_session("one")
    assert "one" not in [each.session_id for each in process.list_sessions()]


def test_a_terminal_is_left_and_found_again(sandbox: sdk.Sandbox) -> None:
    process = sandbox.process
    process.create_pty_session("t", pty_size=sdk.PtySize(rows=24, cols=80)).disconnect()
    assert "t" in [each.id for each in process.list_pty_sessions()]
    resized = process.resize_pty_session("t", sdk.PtySize(rows=30, cols=100))
    assert (resized.rows, resized.cols) == (30, 100)
    shown: list[bytes] = []
    handle = process.connect_pty_session("t")
    handle.send_input("stty size; exit\n")
    handle.wait(on_data=shown.append)
    assert b"30 100" in b"".join(shown)
    handle.disconnect()


def test_an_interpreter_keeps_its_state(sandbox: sdk.Sandbox) -> None:
    interpreter = sandbox.code_interpreter
    context = interpreter.create_context()
    interpreter.run_code("kept = 42", context=context)
    assert interpreter.run_code("print(kept)", context=context).stdout == "42\n"
    error = interpreter.run_code("raise ValueError('no')", context=context).error
    assert error is not None
    assert (error.name, error.value) == ("ValueError", "no")
    assert context.id in [each.id for each in interpreter.list_contexts()]
    interpreter.delete_context(context)
    assert context.id not in [each.id for each in interpreter.list_contexts()]
