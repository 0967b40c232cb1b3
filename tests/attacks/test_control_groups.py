"""Code in a sandbox takes all memory and all processes that it gets, and tries to leave its control group.

Where no cgroup v2 is delegated, nothing bounds a sandbox's processes together, and nothing of this runs.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server import limits
from daytona_kernel.server.box.control_group import NoGroupsError, find_parent
from tests.kernel.driver import running_kernel
from tests.server.conftest import DEADLINE, eventually, make_toolbox, processes_with, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

# Processes that together have three times the memory of the sandbox, and none of them more than it.
_HOGS = """
import os, time
for _ in range(30):
    if os.fork() == 0:
        held = b"x" * (100 << 20)
        time.sleep(1000)
time.sleep(1000)
"""
# Each process makes others for as long as it can.
_BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(1)
"""
# Each way to another group, and to other bounds.
_WAYS_OUT = """
import ctypes, os
GROUPS = ["/sys/fs/cgroup", {group!r}, os.path.dirname({group!r})]
def attempt(name, action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return
    print("DONE", name, arguments)
for group in GROUPS:
    for name in ("cgroup.procs", "cgroup.kill", "cgroup.subtree_control", "memory.max", "pids.max"):
        attempt("open", os.open, f"{{group}}/{{name}}", os.O_WRONLY)
        attempt("chmod", os.chmod, f"{{group}}/{{name}}", 0o777)
    attempt("mkdir", os.mkdir, f"{{group}}/mine")
def check(result):
    if result < 0:
        raise OSError
libc = ctypes.CDLL(None)
attempt("remount", lambda: check(libc.mount(None, b"/sys/fs/cgroup", None, 0x20 | 0x1000, None)))
attempt("mount", lambda: check(libc.mount(b"none", b"/tmp", b"cgroup2", 0, None)))
attempt("unshare", lambda: check(libc.unshare(0x02000000)))
print("tried")
"""
# Shared memory, because what a process has for itself is bounded for each process, too.
_TOO_MUCH = """
import mmap
held = mmap.mmap(-1, 2 << 30)
for _ in range(2 << 10):
    held.write(bytes(1 << 20))
"""


@pytest.fixture(autouse=True, scope="module")
def _delegated() -> None:
    try:
        find_parent()
    except NoGroupsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def bounded_server() -> Iterator[EmbeddedServer]:
    server = start_embedded()
    server.lease = server.take_lease()
    yield server
    server.end()


def group_of(server: EmbeddedServer, toolbox: Toolbox) -> Path:
    name: str = toolbox.sandbox["id"]
    return Path((server.directory / "control-group").read_text()) / name


def number(file: Path, name: str = "") -> int:
    """Return the number in a file of a control group, or the one with a name."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return int(next(words[-1] for words in lines if not name or words[0] == name))


@contextlib.contextmanager
def attacked(server: EmbeddedServer, program: str) -> Iterator[tuple[Toolbox, Path]]:
    """Yield a sandbox with 1 GiB that runs a program in the background, and its group."""
    with make_toolbox(server, memory=1) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "s"})
        toolbox.run("s", f"exec python3 -c '{program}'", runAsync=True)
        yield toolbox, group_of(server, toolbox)


def assert_others_go_on(server: EmbeddedServer, other: Toolbox) -> None:
    begin = time.monotonic()
    assert other.execute("echo alive")["result"] == "alive\n"
    with make_toolbox(server) as fresh:
        assert fresh.execute("echo alive")["result"] == "alive\n"
    assert time.monotonic() - begin < 20


def test_the_memory_of_many_processes_together_is_bounded(bounded_server: EmbeddedServer) -> None:
    with make_toolbox(bounded_server) as other, attacked(bounded_server, _HOGS) as (hostile, group):
        eventually(lambda: number(group / "memory.events", "oom_kill") > 3, "the kernel has ended processes")
        assert number(group / "memory.current") <= number(group / "memory.max") == limits.GIB
        assert_others_go_on(bounded_server, other)
        assert hostile.execute("echo alive")["result"] == "alive\n"


def test_a_fork_bomb_is_bounded(bounded_server: EmbeddedServer) -> None:
    with make_toolbox(bounded_server) as other, attacked(bounded_server, _BOMB) as (hostile, group):
        bounds = ((group / "pids.events", "max"), (group / "memory.events", "oom_kill"))
        eventually(lambda: any(number(*each) for each in bounds), "it has all that it gets", 3 * DEADLINE)
        assert number(group / "pids.current") <= limits.RESOURCE_LIMITS["NPROC"]
        assert_others_go_on(bounded_server, other)
        begin = time.monotonic()
        with bounded_server.client() as client:
            client.delete(f"/sandbox/{hostile.sandbox['id']}")
        assert time.monotonic() - begin < DEADLINE
        assert not group.exists()
        assert processes_with(hostile.sandbox["id"]) == []


def test_nothing_inside_leaves_its_group_or_changes_its_bounds(bounded_server: EmbeddedServer) -> None:
    with make_toolbox(bounded_server) as toolbox:
        group = group_of(bounded_server, toolbox)
        before = (group / "memory.max").read_text()
        code = _WAYS_OUT.format(group=str(group))
        tried = toolbox.post("/process/code-run", json={"code": code, "language": "python"}).json()["result"]
        assert tried == "tried\n"
        assert (group / "memory.max").read_text() == before
        assert group.is_dir()


def test_a_group_is_there_as_long_as_the_sandbox_runs(bounded_server: EmbeddedServer) -> None:
    with make_toolbox(bounded_server) as toolbox, bounded_server.client() as client:
        group, path = group_of(bounded_server, toolbox), f"/sandbox/{toolbox.sandbox['id']}"
        assert number(group / "pids.current") >= 1
        client.post(f"{path}/stop")
        assert not group.exists()
        client.post(f"{path}/start")
        assert number(group / "pids.current") >= 1
        client.delete(path)
        assert not group.exists()


def test_the_next_server_removes_the_groups_of_a_killed_one_and_no_others(
    bounded_server: EmbeddedServer,
) -> None:
    with make_toolbox(bounded_server) as other:
        killed = start_embedded()
        killed.lease = killed.take_lease()
        with make_toolbox(killed, keep=True) as toolbox:
            group = group_of(killed, toolbox)
            assert group.is_dir()
        killed.process.kill()
        killed.end()
        following = start_embedded()
        eventually(lambda: not group.parent.exists(), "the groups are removed")
        following.end()
        assert group_of(bounded_server, other).is_dir()
        assert other.execute("echo alive")["result"] == "alive\n"


def test_the_use_of_a_sandbox_is_that_of_its_group(bounded_server: EmbeddedServer) -> None:
    with make_toolbox(bounded_server, memory=1) as toolbox:
        toolbox.execute("head -c 300M /dev/zero > /dev/shm/held")
        use = toolbox.get("/system/metrics").json()
        assert use["memTotal"] == limits.GIB
        assert 300 * limits.MIB < use["memUsed"] < 500 * limits.MIB


def test_a_cell_that_uses_up_the_memory_says_so_and_the_sandbox_lives_on(
    bounded_server: EmbeddedServer,
) -> None:
    if bounded_server.isolation != "bubblewrap":
        pytest.skip("with Landlock, a sandbox does not see its control group")
    with running_kernel(DAYTONA_SANDBOX_MEMORY="1") as kernel:
        kernel.run("open('kept', 'w').close()")
        assert "because the sandbox's memory was used up" in kernel.run(_TOO_MUCH).error["evalue"]
        assert kernel.run("import os; print(os.path.exists('kept'))").stdout == "True\n"
