"""A follower delivers the log of a session's command on the embedded server."""

from __future__ import annotations

import time
from typing import Any

import pytest

from daytona_kernel import DaytonaNotFoundError, SessionExecuteRequest, Stream
from daytona_kernel.wire.logs import split_log
from tests.conftest import both_profiles, on_own


@pytest.fixture
def session(sandbox: Any) -> Any:
    """The processes of a sandbox with the session `s`."""
    sandbox.process.create_session("s")
    return sandbox.process


def run(process: Any, command: str) -> Any:
    response = process.execute_session_command("s", SessionExecuteRequest(command, run_async=True))
    return process.follow_session_command_logs("s", response.cmd_id)


@on_own
def test_every_byte_of_a_real_log(session: Any) -> None:
    follower = run(session, r"printf 'a\rb\0c\xff\n'; printf 'e\n' >&2; printf 'no newline'; exit 4")
    streams = dict.fromkeys(Stream, b"")
    for chunk in follower:
        streams[chunk.stream] += chunk.data
    assert streams == {Stream.STDOUT: b"a\rb\0c\xff\nno newline", Stream.STDERR: b"e\n"}
    assert follower.exit_code == 4


@both_profiles
def test_chunks_come_while_the_command_runs(session: Any) -> None:
    follower = run(session, "echo first; read go; echo second")
    chunks = iter(follower)
    assert next(chunks).data == b"first\n"
    command_id = session.get_session("s").commands[-1].id
    session.send_session_command_input("s", command_id, "go")
    assert b"".join(chunk.data for chunk in chunks).endswith(b"second\n")


@on_own
def test_a_range_of_a_real_log_is_served(session: Any) -> None:
    import httpx

    follower = run(session, "echo one; echo two >&2")
    list(follower)
    command_id = session.get_session("s").commands[-1].id
    api = session.toolbox_api
    url = f"{api.url}/process/session/s/command/{command_id}/logs"
    headers = {**api.headers_for(url), "X-Daytona-Split-Output": "true"}
    whole = httpx.get(url, headers=headers, trust_env=False).content
    assert split_log(whole) == (b"one\n", b"two\n")
    for start in range(1, len(whole)):
        rest = httpx.get(url, headers={**headers, "Range": f"bytes={start}-"}, trust_env=False)
        assert (rest.status_code, rest.content) == (206, whole[start:])
    end = httpx.get(url, headers={**headers, "Range": f"bytes={len(whole)}-"}, trust_env=False)
    assert (end.status_code, end.content) == (416, b"")


@both_profiles
@pytest.mark.parametrize("silence", ["", "sleep 0.7; "])
def test_a_follower_ends_soon_after_its_command(session: Any, silence: str) -> None:
    waits: list[float] = []
    while not waits or (min(waits) > 0.6 and len(waits) < 10):  # a busy machine may be late a few times
        follower = run(session, f"echo first; {silence}echo $EPOCHREALTIME; {silence}(exit 3)")
        *_, last = follower
        waits.append(time.time() - float(last.data.split()[-1]) - (0.7 if silence else 0.0))
        assert follower.exit_code == 3
    assert min(waits) <= 0.6, "Daytona closes the stream a second late"


@both_profiles
def test_a_large_real_log(session: Any) -> None:
    follower = run(session, "seq 1 300000")
    assert b"".join(chunk.data for chunk in follower) == b"".join(b"%d\n" % n for n in range(1, 300_001))


@both_profiles
def test_deleting_the_session_ends_the_log(session: Any, profile: str) -> None:
    follower = run(session, "echo first; sleep 60")
    chunks = iter(follower)
    next(chunks)
    session.delete_session("s")
    if profile == "daytona":
        with pytest.raises(DaytonaNotFoundError):
            list(chunks)
    else:
        assert list(chunks) == []
        assert follower.exit_code == 143
