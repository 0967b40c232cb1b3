"""Code in an isolated sandbox tries to gain privileges, and to change the machine's files and settings."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import eventually, make_toolbox, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Toolbox

KERNEL_FILES = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/modprobe",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/proc/mtrr",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/ksm/run",
]

REFUSED_CALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
NEWUSER = 0x10000000
def attempt(name, *call):
    result = libc.syscall(*call)
    if result == 0 and name == "clone":
        import os; os._exit(0)  # the child
    print(name, "done" if result >= 0 else errno.errorcode[ctypes.get_errno()])
import os
number = {"x86_64": (272, 56, 308, 250, 321), "aarch64": (97, 220, 268, 219, 280)}[os.uname().machine]
attempt("unshare", number[0], NEWUSER)
attempt("clone", number[1], NEWUSER | 17, 0, 0, 0, 0)
attempt("clone3", 435, 0, 0)
attempt("setns", number[2], os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)
attempt("keyctl", number[3], 0, -3, 0)
attempt("bpf", number[4], 0, 0, 0)
attempt("io_uring_setup", 425, 1, 0)
"""


@pytest.fixture(scope="module")
def toolbox() -> Iterator[Toolbox]:
    server = start_embedded()
    server.lease = server.take_lease()
    if server.isolation != "bubblewrap":
        server.end()
        pytest.skip("bubblewrap does not work here")
    with make_toolbox(server) as toolbox:
        yield toolbox
    server.end()


def run_python(toolbox: Toolbox, code: str) -> str:
    answer = toolbox.post("/process/code-run", json={"code": code, "language": "python"}).json()
    assert answer["exitCode"] == 0, answer["result"]
    return str(answer["result"])


def test_no_process_has_a_capability(toolbox: Toolbox) -> None:
    lines = toolbox.execute("grep -hE '^(Cap|NoNewPrivs)' /proc/[0-9]*/status")["result"].splitlines()
    assert len(lines) >= 12  # of at least two processes, the first one among them
    for line in lines:
        name, value = line.split()
        assert int(value, 16) == (1 if name == "NoNewPrivs:" else 0), line


def test_no_process_has_roots_user_id(toolbox: Toolbox) -> None:
    uids = toolbox.execute("grep -hE '^[UG]id' /proc/[0-9]*/status")["result"].split()
    assert set(uids) == {"Uid:", "Gid:", "1000"}
    marked = f"sleep {500 + os.getpid() / 1e6}"
    toolbox.execute(f"({marked} >/dev/null 2>&1 &)")
    found: list[int] = []

    def has_started() -> bool:
        found[:] = [
            entry.stat().st_uid
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and marked.split() == _arguments(entry)
        ]
        return bool(found)

    eventually(has_started, "it sleeps")
    assert 0 not in found


def _arguments(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []


def test_a_mount_of_the_machine_cannot_be_made_writable(toolbox: Toolbox) -> None:
    points = run_python(toolbox, "print(open('/proc/self/mountinfo').read())")
    escaped = [line.split()[4] for line in points.splitlines() if " ro," in line or " ro " in line]
    read_only = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), path) for path in escaped]
    assert "/usr" in read_only
    remount = "import ctypes; l = ctypes.CDLL(None, use_errno=True)\n" + "\n".join(
        f"print(l.mount(b'none', {point.encode()!r}, None, 32 | 4096, None), ctypes.get_errno())"
        for point in read_only
    )
    assert set(run_python(toolbox, remount).splitlines()) == {"-1 1"}  # EPERM
    assert toolbox.execute("touch /usr/x")["exitCode"] != 0


def test_the_kernels_settings_cannot_be_written(toolbox: Toolbox) -> None:
    for path in KERNEL_FILES:
        assert toolbox.execute(f"test -w {path} && : >> {path}")["exitCode"] != 0, path
    # Every user may ask for notices of pressure, and tty/driver cannot be listed.
    left_out = ["/proc/[0-9]*", "/proc/*self", "/proc/tty/driver", "/proc/pressure"]
    pruned = " ".join(f"-path '{path}' -prune -o" for path in left_out)
    found = toolbox.execute(f"find /proc /sys {pruned} -type f -writable -print")
    assert found["result"] == ""


def test_user_namespaces_and_rare_system_calls_are_refused(toolbox: Toolbox) -> None:
    answers = dict(line.split() for line in run_python(toolbox, REFUSED_CALLS).splitlines())
    assert answers.pop("clone3") == "ENOSYS"
    assert set(answers.values()) == {"EPERM"}


def test_devices_are_only_harmless_ones(toolbox: Toolbox) -> None:
    names = toolbox.execute("find /dev -type b -o -type c | sort")["result"].split()
    harmless = {"full", "null", "random", "tty", "urandom", "zero", "ptmx", "console"}
    assert {name.removeprefix("/dev/") for name in names if "/pts/" not in name} <= harmless
    made = run_python(
        toolbox, "import os\ntry: os.mknod('x', 0o20600, 0x101)\nexcept OSError as e: print(e.errno)"
    )
    assert made == "1\n"


def test_files_in_memory_are_bounded(toolbox: Toolbox) -> None:
    assert "No space left" in toolbox.execute("head -c 20M /dev/zero > /run/daytona/../x")["result"] or (
        toolbox.execute("test -w /run")["exitCode"] != 0
    )
    size = int(toolbox.execute("df --output=size -B1 /dev/shm | tail -1")["result"])
    assert size <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 + 4096


def test_streams_can_be_opened_by_name(toolbox: Toolbox) -> None:
    answer = toolbox.execute(
        "echo a > /dev/stdout; echo b > /dev/stderr; echo c | tee /dev/stderr >/dev/null"
    )
    assert sorted(answer["result"].split()) == ["a", "b", "c"]
