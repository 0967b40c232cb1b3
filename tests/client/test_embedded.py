"""The start, the lease and the end of the embedded server, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from daytona_kernel import Daytona, EmbeddedServerError
from daytona_kernel.client import embedded
from daytona_kernel.client.embedded_server import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def python(code: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


HOLDER = """
import json
from daytona_kernel.client import embedded
server = embedded.start()
url, key = server.ready()
print(json.dumps([url, key, server.pid, server.isolation, server.note]), flush=True)
input()
"""


def test_one_server_for_all_clients_of_a_process(server: EmbeddedServer) -> None:
    assert embedded.start() is server
    assert server.ready() == server.ready()
    assert server.alive()
    assert server.isolation in ("bubblewrap", "landlock", "none")
    with Daytona() as one, Daytona() as two:
        sandbox = one.create()
        assert two.get(sandbox.id).id == sandbox.id
        sandbox.delete()
    assert server.ready()[1] not in repr(server)


def test_servers_that_have_ended_are_no_zombies_beside_the_next() -> None:
    first = EmbeddedServer.spawn()
    first.ready()
    first.close(now=True)
    wait_until(lambda: gone(first.pid))
    second = EmbeddedServer.spawn()
    try:
        assert not psutil.pid_exists(first.pid)
    finally:
        second.ready()
        second.close(now=True)


def test_the_use_of_the_embedded_server_is_announced_once() -> None:
    code = "from daytona_kernel import *\nfor _ in 'ab': next(Daytona().list(), None)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DAYTONA_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.count("No DAYTONA_API_KEY is set") == 1
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_server_ends_after_its_owner_is_killed() -> None:
    with python(HOLDER) as holder:
        assert holder.stdout is not None
        _, _, pid, *_ = json.loads(holder.stdout.readline())
        assert not gone(pid)
        holder.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(pid))


ATTACHER = """
import json, sys, time
from daytona_kernel.client import embedded
url, key, isolation, note = json.loads(input())
attached = embedded.attach(url, key)
assert attached is not None and attached.alive()
assert (attached.isolation, attached.note) == (isolation, note)
assert embedded.start() is embedded.current() is attached
print("attached", flush=True)
input()
attached.close(now=True)
print("closed", flush=True)
input()
assert embedded.attach(url, key) is None
print("gone", flush=True)
"""


def test_another_process_takes_over_within_the_grace() -> None:
    with python(HOLDER) as holder:
        assert holder.stdout is not None
        url, key, pid, isolation, note = json.loads(holder.stdout.readline())
        holder.send_signal(signal.SIGKILL)
    with python(ATTACHER) as attacher:
        assert say(attacher, json.dumps([url, key, isolation, note])) == "attached"
        # Longer than the grace would have lasted.
        deadline = time.monotonic() + 6
        wait_until(lambda: time.monotonic() > deadline or gone(pid))
        assert not gone(pid)
        assert say(attacher, "") == "closed"
        wait_until(lambda: gone(pid), 5)
        assert say(attacher, "") == "gone"


def say(child: subprocess.Popen[str], line: str) -> str:
    """Send a line to a child and return the line that it answers with."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return child.stdout.readline().strip()


def test_a_wrong_key_gets_no_lease(server: EmbeddedServer) -> None:
    url, _ = server.ready()
    assert embedded.attach(url, "wrong") is None
    assert embedded.start() is server


def test_close_now_ends_it_at_once() -> None:
    code = HOLDER.replace("input()", "server.close(now=True); input()")
    with python(code) as holder:
        assert holder.stdout is not None
        _, _, pid, *_ = json.loads(holder.stdout.readline())
        wait_until(lambda: gone(pid), 5)
        holder.communicate("\n", timeout=10)


def test_a_forked_child_does_not_own_the_server() -> None:
    code = """
import json, os, time
from daytona_kernel.client import embedded
server = embedded.start()
url, key = server.ready()
child = os.fork()
if child == 0:
    assert embedded.current() is None and not server.alive()
    time.sleep(60)
print(json.dumps([server.pid, child]), flush=True)
input()
"""
    with python(code) as holder:
        assert holder.stdout is not None
        pid, child = json.loads(holder.stdout.readline())
        holder.send_signal(signal.SIGKILL)
        try:
            wait_until(lambda: gone(pid))
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_server_that_died_is_started_again() -> None:
    code = """
import json, os, signal
from daytona_kernel.client import embedded
first = embedded.start()
first.ready()
os.kill(first.pid, signal.SIGKILL)
while first.alive(): pass
second = embedded.start()
assert second is not first
second.ready()
second.close(now=True)
print("ok", flush=True)
"""
    with python(code) as holder:
        assert holder.communicate(timeout=60)[0] == "ok\n"


def test_the_directory_of_a_killed_server_goes_when_its_owner_closes_it(tmp_path: Path) -> None:
    code = """
import os, signal
from daytona_kernel.client import embedded
server = embedded.start()
server.ready()
os.kill(server.pid, signal.SIGKILL)
while server.alive(): pass
print(os.listdir(os.environ["TMPDIR"]), flush=True)
server.close(now=True)
"""
    with python(code, env=os.environ | {"TMPDIR": str(tmp_path)}) as holder:
        assert "daytona-kernel-" in holder.communicate(timeout=60)[0]
    wait_until(lambda: not any(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("-c", "raise SystemExit('no room on this machine')"), "ended before it was ready: no room on this"),
        (("-c", "import time; time.sleep(60)"), "was not ready in time"),
        (("-c", "print('hello')"), "not the expected JSON"),
        (("-m", "no_such_module"), "No module named no_such_module"),
    ],
)
def test_the_error_says_why_a_server_does_not_start(command: tuple[str, ...], reason: str) -> None:
    server = EmbeddedServer.spawn(command)
    try:
        with pytest.raises(EmbeddedServerError, match=reason):
            server.ready(timeout=2)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: gone(server.pid))
        server.close()


def test_the_import_is_light() -> None:
    code = """
import sys
before = set(sys.modules)
import daytona_kernel.client.embedded
new = set(sys.modules) - before
assert not new & {"httpx", "websockets", "asyncio", "ssl", "json", "subprocess", "socket", "typing"}, new
"""
    subprocess.run([sys.executable, "-c", code], check=True)
