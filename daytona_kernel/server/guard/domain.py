"""A program that gives up what a sandbox must not have, and becomes another program.

Its arguments are SPECIFICATION LISTENER COMMAND…. SPECIFICATION is a descriptor of a
marshalled tuple: rules, whether TCP connections are refused, and filters of system
calls. A rule is a path and its access rights. LISTENER is a socket: the listener of the last filter goes
there. COMMAND and all that it starts stay in the domain. It imports only small modules, because a sandbox
waits.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import socket
import stat
import struct
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all architectures
VERSION = 1  # a flag of CREATE_RULESET that asks for the ABI
_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277}

READ = 1 << 0 | 1 << 2 | 1 << 3  # to execute and read files, and to list directories
USE_DEVICE = 1 << 1 | 1 << 2 | 1 << 15  # to write, read, and control
EVERYTHING = (1 << 16) - 1
CHANGE = EVERYTHING & ~(1 << 6 | 1 << 11)  # all but making devices
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_CONNECT_TCP = 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_PATH_BENEATH = 1

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_CLEAR_ALL = 4
_CAPABILITIES = 64
_CAPABILITY_VERSION = 0x20080522
_SET_FILTER, _NEW_LISTENER = 1, 8
_OOM_SCORE = "500"  # of 1000, as the supervisor's

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """Make a system call. Raises `OSError`."""
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def abi() -> int:
    """Return the version of Landlock that this machine has; 0 for none."""
    try:
        return call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(VERSION))
    except OSError:
        return 0


def make_ruleset(rules: list[tuple[str, int]], *, refuse_tcp: bool) -> int:
    """Return a descriptor of a ruleset that allows nothing but `rules`. A path may be missing."""
    attributes = struct.pack(
        "=QQQ", EVERYTHING, _CONNECT_TCP if refuse_tcp else 0, _ABSTRACT_SOCKETS | _SIGNALS
    )
    ruleset = call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    for path, rights in rules:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = rights if stat.S_ISDIR(os.fstat(opened).st_mode) else rights & _OF_FILES
        call(ADD_RULE, ctypes.c_int(ruleset), _PATH_BENEATH, struct.pack("=Qi", allowed, opened), 0)
        os.close(opened)
    return ruleset


def give_up_privileges() -> None:
    """Give up every capability, and every way to get one."""
    for capability in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those who need no more than the rest
    _libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    if _libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def install_filter(program: bytes, flags: int) -> int:
    """Filter all system calls from now on. Return the listener that is asked, if `flags` want one."""
    instructions = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    number = _SECCOMP[os.uname().machine]
    return call(number, ctypes.c_uint(_SET_FILTER), ctypes.c_uint(flags), head)


def prefer_for_the_oom_killer() -> None:
    """Let the kernel's OOM killer take the sandbox before Jupyter. Nothing in the domain could write this."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_OOM_SCORE)
    except OSError:
        pass


def main() -> None:
    """Enter the domain and become the command."""
    specification, listener = map(int, sys.argv[1:3])
    with open(specification, "rb") as file:
        rules, refuse_tcp, filters = marshal.loads(file.read())  # noqa: S302  # the server wrote it
    prefer_for_the_oom_killer()
    ruleset = make_ruleset(rules, refuse_tcp=refuse_tcp)
    give_up_privileges()
    call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)
    with socket.socket(fileno=listener) as channel:
        for program in filters[:-1]:
            install_filter(program, 0)
        opened = install_filter(filters[-1], _NEW_LISTENER)
        socket.send_fds(channel, [b"1"], [opened])
        os.close(opened)
    os.execve(sys.argv[3], sys.argv[3:], {"GUARDED": "1"})  # noqa: S606  # the command is the server's


if __name__ == "__main__":
    main()
