"""Code in a sandbox that Landlock isolates tries to leave it, on a machine without user namespaces."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box import landlock
from daytona_kernel.server.box.network import own_addresses
from daytona_kernel.server.guard.policy import Policy
from tests.server.conftest import eventually, make_toolbox, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    why_not = landlock.failure("auto")
    if why_not is not None:
        pytest.skip(why_not)
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": "landlock", "DAYTONA_KERNEL_NETWORK": "auto"})
    server.lease = server.take_lease()
    assert server.isolation == "landlock"
    yield server
    server.end()


@pytest.fixture(scope="module")
def toolbox(server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(server) as toolbox:
        yield toolbox


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("secret")
    return path


def run_python(toolbox: Toolbox, code: str) -> str:
    answer = toolbox.post("/process/code-run", json={"code": code, "language": "python"}).json()
    assert answer["exitCode"] == 0, answer["result"]
    return str(answer["result"])


def errors_of(toolbox: Toolbox, *calls: str) -> list[str]:
    """Return the name of the error of each call, or `done`."""
    tries = "".join(
        f"try: {call}; print('done')\nexcept OSError as e: print(errno.errorcode[e.errno])\n"
        for call in calls
    )
    code = f"import ctypes, errno, fcntl, os, resource, signal, socket\nlibc = ctypes.CDLL(None)\n{tries}"
    return run_python(toolbox, code).split()


def test_files_of_the_person_are_neither_read_nor_changed(toolbox: Toolbox, secret: Path) -> None:
    secret.chmod(0o604)
    os.utime(secret, (1, 1))
    path = str(secret)
    answers = errors_of(
        toolbox,
        f"open({path!r})",
        f"open({path!r}, 'a')",
        f"os.truncate({path!r}, 0)",
        f"os.remove({path!r})",
        f"os.rename({path!r}, 'stolen')",
        f"os.link({path!r}, 'stolen')",
        f"os.listdir({str(secret.parent)!r})",
        f"os.mkdir({str(secret.parent / 'new')!r})",
        f"os.symlink('x', {str(secret.parent / 'new')!r})",
        f"os.chmod({path!r}, 0o777)",
        f"os.fchmod(os.open({path!r}, os.O_PATH), 0o777)",
        f"os.chown({path!r}, os.getuid(), os.getgid())",
        f"os.utime({path!r})",
        f"os.setxattr({path!r}, 'user.x', b'x')",
        f"os.symlink({path!r}, 'way'); os.chmod('way', 0o777)",
        f"os.chdir({str(secret.parent)!r}); os.chmod('secret', 0o777)",
        "os.open('/', os.O_RDONLY); os.listdir(os.path.expanduser('~root'))",
    )
    assert set(answers) <= {"EACCES", "EPERM", "EXDEV", "ENOTSUP", "EBADF"}, answers
    assert secret.read_text() == "secret"
    status = secret.stat()
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o604, 1)


def test_the_machines_secrets_are_not_read(toolbox: Toolbox) -> None:
    name = secrets.token_hex(8)
    answers = errors_of(
        toolbox,
        "open('/etc/shadow')",
        f"open('/proc/{os.getpid()}/environ')",
        f"open('/proc/{os.getpid()}/mem')",
        f"os.listdir('/proc/{os.getpid()}/root/etc')",
        "open('/proc/kcore')",
        "open('/dev/mem')",
        f"open('/dev/shm/{name}', 'w')",
        f"open('/tmp/{name}', 'w')",
        "open('/proc/sys/kernel/hostname', 'r+')",
        "open('/proc/self/oom_score_adj', 'r+')",
    )
    assert set(answers) <= {"EACCES", "EPERM", "ENOENT"}, answers


def test_own_files_can_be_changed_in_every_way(toolbox: Toolbox) -> None:
    answers = errors_of(
        toolbox,
        "open('own', 'w').write('x')",
        "os.chmod('own', 0o600); assert os.stat('own').st_mode & 0o777 == 0o600",
        "os.fchmod(os.open('own', os.O_RDONLY), 0o640); assert os.stat('own').st_mode & 0o777 == 0o640",
        "os.chmod('own', 0o4755); assert os.stat('own').st_mode & 0o7777 == 0o755",
        "os.utime('own', (5, 7)); assert os.stat('own').st_mtime == 7",
        "os.utime('own'); assert os.stat('own').st_mtime > 7",
        "os.symlink('own', 'link'); os.utime('link', (3, 3), follow_symlinks=False)",
        "assert os.lstat('link').st_mtime == 3; assert os.stat('own').st_mtime > 7",
        "os.rename('own', os.path.expanduser('~/moved'))",
        "os.link(os.path.expanduser('~/moved'), os.path.expanduser('~/again'))",
    )
    assert set(answers) == {"done"}, answers


def test_processes_of_the_person_are_neither_signaled_nor_traced(toolbox: Toolbox) -> None:
    with subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL) as victim:  # noqa: S607
        answers = errors_of(
            toolbox,
            f"os.kill({victim.pid}, 9)",
            f"signal.pidfd_send_signal(os.pidfd_open({victim.pid}), 9)",
            f"resource.prlimit({victim.pid}, resource.RLIMIT_CPU, (0, 0))",
            f"os.setpriority(os.PRIO_PROCESS, {victim.pid}, 19)",
            f"os.sched_setaffinity({victim.pid}, [0])",
            f"open('/proc/{victim.pid}/cwd/x')",
        )
        ptrace = run_python(
            toolbox, f"import ctypes\nprint(ctypes.CDLL(None).ptrace(16, {victim.pid}, 0, 0))"
        )
        assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)
    assert set(answers) <= {"EACCES", "EPERM"}, answers
    assert ptrace == "-1\n"


@pytest.fixture
def canary() -> Iterator[int]:
    """A server on all addresses of this machine. Yields its port."""
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        yield int(listener.getsockname()[1])


def test_no_server_of_this_machine_is_reached(toolbox: Toolbox, canary: int) -> None:
    hosts = ["127.0.0.1", "127.0.0.53", "0.0.0.0", *own_addresses()]
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # the address of a socket is short
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen()
        abstract.bind(f"\0{path}")
        abstract.listen()
        answers = errors_of(
            toolbox,
            *(f"socket.socket().connect(({host!r}, {canary}))" for host in hosts),
            *(
                f"socket.socket(socket.AF_INET6).connect(({host!r}, {canary}))"
                for host in ("::1", "::", "::ffff:127.0.0.1")
            ),
            f"socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', {canary}))",
            f"socket.socket(2, 1, 262).connect(('127.0.0.1', {canary}))",
            f"socket.socket(2, 2).sendto(b'x', ('127.0.0.1', {canary}))",
            "socket.socket(socket.AF_VSOCK).connect((2, 1))",
            f"socket.socket(socket.AF_UNIX).connect({path!r})",
            f"os.symlink({path!r}, 'way-out'); socket.socket(socket.AF_UNIX).connect('way-out')",
            f"socket.socket(socket.AF_UNIX).connect('\\0' + {path!r})",
            f"socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', {path!r})",
            "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
            "socket.socket().connect(('169.254.169.254', 80))",
        )
    assert set(answers) <= {"EACCES", "EPERM", "EAFNOSUPPORT"}, answers


def test_another_argument_after_the_decision_changes_nothing(toolbox: Toolbox, canary: int) -> None:
    """A thread exchanges the address while the guard decides about it."""
    code = f"""
import ctypes, socket, struct, threading, time
libc = ctypes.CDLL(None, use_errno=True)
own = socket.create_server(("127.0.0.1", 0))
ports = [own.getsockname()[1], {canary}]
addresses = [struct.pack("=HH4s8x", 2, socket.htons(port), socket.inet_aton("127.0.0.1")) for port in ports]
memory = ctypes.create_string_buffer(addresses[0], 16)
running = True
def exchange():
    while running:
        for address in addresses:
            ctypes.memmove(memory, address, 16)
threading.Thread(target=exchange, daemon=True).start()
reached = set()
end = time.monotonic() + 1
while time.monotonic() < end:
    with socket.socket() as s:
        if libc.connect(s.fileno(), memory, 16) == 0:
            reached.add(s.getpeername()[1])
running = False
print(reached == {{ports[0]}})
"""
    assert run_python(toolbox, code) == "True\n"


def test_own_servers_are_reached(toolbox: Toolbox) -> None:
    code = """
import socket, threading
for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, "own.sock")):
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        with socket.socket(family) as client:
            client.connect(listener.getsockname())
            listener.accept()[0].send(b"reached")
            print(client.recv(10))
"""
    assert run_python(toolbox, code) == "b'reached'\n" * 2


def test_two_sandboxes_do_not_reach_each_other(server: EmbeddedServer, toolbox: Toolbox) -> None:
    with make_toolbox(server) as other:
        other.execute("echo secret > file; chmod 644 file")
        other.post("/process/session", json={"sessionId": "server"})
        other.run("server", "exec python -m http.server 8131 --bind 127.0.0.1", runAsync=True)
        eventually(lambda: other.get("/port/8131/in-use").json()["isInUse"], "the server listens")
        path = other.execute("pwd")["result"].strip() + "/file"
        process = other.execute("echo $PPID")["result"].strip()
        answers = errors_of(
            toolbox,
            f"open({path!r})",
            "socket.socket().connect(('127.0.0.1', 8131))",
            f"os.kill({process}, 9)",
        )
        assert set(answers) <= {"EACCES", "EPERM", "ESRCH"}, answers
        own = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8131/file').read())"
        assert run_python(other, own) == "b'secret\\n'\n"


def test_no_way_to_privileges(toolbox: Toolbox) -> None:
    lines = toolbox.execute("grep -hE '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")["result"].splitlines()
    values = {name: int(value, 16) for name, value in (line.split() for line in lines)}
    assert values.pop("NoNewPrivs:") == 1
    assert values.pop("Seccomp:") == 2
    bounding = values.pop("CapBnd:")
    assert bounding == 0 or os.getuid() != 0
    assert set(values.values()) == {0}


def test_terminals_work(toolbox: Toolbox) -> None:
    code = """
import os, pty
pid, fd = pty.fork()
if pid == 0:
    os.execvp("tty", ["tty"])
os.waitpid(pid, 0)
print(os.read(fd, 99))
"""
    assert "/dev/pts/" in run_python(toolbox, code)


@pytest.mark.parametrize("stop", ["", "; kill -STOP $PPID"], ids=["running", "stopped"])
def test_it_ends_with_its_server_although_its_first_process_is_stopped(
    server: EmbeddedServer, stop: str
) -> None:
    own = start_embedded({"DAYTONA_KERNEL_ISOLATION": "landlock"}, warm_box_delay=1000)
    own.lease = own.take_lease()
    mark = f"sleep {700 + os.getpid() / 1e6}"
    with make_toolbox(own, keep=True) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "one"})
        toolbox.run("one", f"(setsid {mark} >/dev/null 2>&1 &){stop}", runAsync=True)
        eventually(lambda: _running(mark), "it runs")
    own.process.kill()
    own.process.wait(20)
    own.lease.close()
    eventually(lambda: not _running(mark), "it ends")


def _running(mark: str) -> bool:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_text().rstrip("\0").replace("\0", " "))
        except OSError:
            continue
    return mark in found


def test_cells_run_and_the_first_one_says_what_does_not_hold() -> None:
    from tests.kernel.driver import running_kernel

    with running_kernel(DAYTONA_KERNEL_ISOLATION="landlock") as driver:
        first = driver.run("6 * 7")
        assert "isolated with Landlock" in first.stderr
        assert first.result == "42"
        assert driver.run("!echo shown").stdout.strip() == "shown"
        assert driver.run("%sh echo shown").stdout.strip() == "shown"
        assert driver.run("2").stderr == ""
        answer, _ = driver.interrupt_when_printed("print('go', flush=True)\n%sh (sleep 946.1 & sleep 946.2)")
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert driver.run("%sh pgrep -f 'sleep 946[.][1-8]' || true").stdout == ""


def test_it_is_the_second_way_where_bubblewrap_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    own = start_embedded({"DAYTONA_KERNEL_ISOLATION": "auto", "PATH": str(tmp_path)})
    own.lease = own.take_lease()
    assert own.isolation == "landlock"
    assert "bubblewrap is not installed" in own.lease.headers["X-Daytona-Kernel-Server"]
    own.end()


@pytest.mark.parametrize(
    ("kind", "allowed", "host", "reached"),
    [
        ("own", None, "192.0.2.1", True),
        ("own", None, "2001:db8::1", True),
        ("own", None, "198.51.100.1", False),  # of this machine
        ("own", None, "::ffff:198.51.100.1", False),
        ("own", None, "169.254.169.254", False),
        ("own", None, "fe80::1%eth0", False),
        ("own", ["192.0.2.0/24"], "192.0.2.1", True),
        ("own", ["192.0.2.0/24"], "203.0.113.1", False),
        ("own", ["192.0.2.0/24"], "2001:db8::1", False),
        ("none", None, "192.0.2.1", False),
        ("host", None, "127.0.0.1", True),
    ],
)
def test_addresses(kind: str, allowed: list[str] | None, host: str, reached: bool) -> None:
    policy = Policy(["/box/home"], kind, allowed, ["198.51.100.1", "169.254.0.0/16"], [])
    assert policy.allows(host, 80, os.getpid()) == reached


def test_the_internet_is_reached_by_name(toolbox: Toolbox) -> None:
    try:
        socket.create_connection(("pypi.org", 443), 10).close()
    except OSError as error:
        pytest.skip(f"this machine does not reach pypi.org: {error}")
    assert errors_of(toolbox, "socket.create_connection(('pypi.org', 443), 20)") == ["done"]


@pytest.mark.parametrize(("network", "reached"), [("none", False), ("host", True)])
def test_the_network_is_the_wanted_one(
    server: EmbeddedServer, canary: int, network: str, reached: bool
) -> None:
    own = start_embedded({"DAYTONA_KERNEL_ISOLATION": "landlock", "DAYTONA_KERNEL_NETWORK": network})
    own.lease = own.take_lease()
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # the address of a socket is short
        make_toolbox(own) as toolbox,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(f"{folder}/socket")
        listener.listen()
        answers = errors_of(
            toolbox,
            f"socket.socket().connect(('127.0.0.1', {canary}))",
            "socket.socket().connect(('192.0.2.1', 80))" if not reached else "raise PermissionError(13, '')",
            f"socket.socket(socket.AF_UNIX).connect('{folder}/socket')",
        )
    assert answers == ["done" if reached else "EACCES", "EACCES", "EACCES"]
    own.end()


def test_wrong_pointers_are_answered(toolbox: Toolbox) -> None:
    """The guard reads the memory of the process, which may end in the middle of an argument."""
    code = """
import ctypes, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.mmap(-1, 4096)
start = ctypes.addressof(ctypes.c_char.from_buffer(page))
client = socket.socket().fileno()
open("own", "w").close()
for pointer in (0, 1, 2**63, 2**64 - 8, start + 4095, start + 4090):
    for size in (0, 1, 2, 16, 28, 128, 2**31, 2**32 - 1):
        assert libc.connect(client, ctypes.c_void_p(pointer), ctypes.c_uint(size)) == -1
    assert libc.utimensat(-100, ctypes.c_void_p(pointer), None, 0) == -1
    assert libc.chmod(ctypes.c_void_p(pointer), 0o600) == -1
    if pointer:
        assert libc.utimensat(-100, b"own", ctypes.c_void_p(pointer), 0) == -1
print("answered")
os._exit(0)
"""
    assert run_python(toolbox, code) == "answered\n"


@pytest.mark.usefixtures("server")
def test_the_trial_works_in_a_directory_whose_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert landlock.failure("auto") is None
    assert list(deep.iterdir()) == []
