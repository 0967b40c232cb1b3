"""A filter of system calls for isolated boxes: no user namespaces, and no rarely used system calls.

A process that makes a user namespace has every capability in it, and so reaches parts of the kernel that are
written for root. The filter also refuses calls that no program in a sandbox needs and that have had security
holes. It is a classic BPF program, as seccomp(2) describes it. Bubblewrap installs it.
"""

from __future__ import annotations

import errno
import os
import struct

_CLONE_NEWUSER = 0x10000000
_TIOCSTI = 0x5412  # types into the terminal of another process
_TIOCLINUX = 0x541C

# The numbers of the calls, by the kernel's name of the architecture. The number of `clone3` and of all later
# calls is the same everywhere.
AUDIT_ARCHITECTURES = {
    "x86_64": 0xC000003E,
    "i386": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "riscv64": 0xC00000F3,
}
_NATIVE = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm"), "riscv64": ("riscv64",)}
_COLUMNS = ["x86_64", "i386", "aarch64", "arm", "riscv64"]
_WITH_FLAGS = {  # refused if the first argument has CLONE_NEWUSER
    "clone": (56, 120, 220, 120, 220),
    "unshare": (272, 310, 97, 337, 97),
}
_IOCTL = (16, 54, 29, 54, 29)
_REFUSED = {
    "setns": (308, 346, 268, 375, 268),
    "add_key": (248, 286, 217, 309, 217),
    "request_key": (249, 287, 218, 310, 218),
    "keyctl": (250, 288, 219, 311, 219),
    "bpf": (321, 357, 280, 386, 280),
    "perf_event_open": (298, 336, 241, 364, 241),
    "userfaultfd": (323, 374, 282, 388, 282),
    "kexec_load": (246, 283, 104, 347, 104),
    "open_by_handle_at": (304, 342, 265, 371, 265),
    "io_uring_setup": (425, 425, 425, 425, 425),
}
_CLONE3 = 435
_X32 = 0x40000000  # the bit of the x32 calls of x86_64

LOAD, JUMP_EQUAL, JUMP_ANY_BIT, _JUMP_NOT_BELOW, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, little endian
ALLOW = 0x7FFF0000


def error(number: int) -> int:
    """Return the action that lets a call fail with the error `number`."""
    return 0x00050000 | number


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return one instruction. A jump passes over that many instructions."""
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(number: int, reason: int) -> bytes:
    return instruction(JUMP_EQUAL, number, 0, 1) + instruction(RETURN, error(reason))


def _refuse_argument(number: int, offset: int, test: int, values: list[int]) -> bytes:
    """Refuse the call `number` if its argument at `offset` passes `test` with one of `values`."""
    body = instruction(LOAD, offset)
    for value in values:
        body += instruction(test, value, 0, 1) + instruction(RETURN, error(errno.EPERM))
    body += instruction(RETURN, ALLOW)
    return instruction(JUMP_EQUAL, number, 0, len(body) // 8) + body


def _rules_of(column: int) -> bytes:
    rules = instruction(LOAD, NUMBER)
    if _COLUMNS[column] == "x86_64":
        rules += instruction(_JUMP_NOT_BELOW, _X32, 0, 1) + instruction(RETURN, error(errno.ENOSYS))
    # Without it, the C library falls back to `clone`, whose flags a filter can read.
    rules += _refuse(_CLONE3, errno.ENOSYS)
    for numbers in _REFUSED.values():
        rules += _refuse(numbers[column], errno.EPERM)
    for numbers in _WITH_FLAGS.values():
        rules += _refuse_argument(numbers[column], FIRST, JUMP_ANY_BIT, [_CLONE_NEWUSER])
    rules += _refuse_argument(_IOCTL[column], SECOND, JUMP_EQUAL, [_TIOCSTI, _TIOCLINUX])
    return rules + instruction(RETURN, ALLOW)


def program() -> bytes | None:
    """Return the filter for this machine's architecture, or `None` if it has no table here."""
    names = _NATIVE.get(os.uname().machine)
    if names is None:
        return None
    filters = instruction(LOAD, ARCHITECTURE)
    for name in names:
        rules = _rules_of(_COLUMNS.index(name))
        filters += instruction(JUMP_EQUAL, AUDIT_ARCHITECTURES[name], 0, len(rules) // 8) + rules
    return filters + instruction(RETURN, error(errno.ENOSYS))
