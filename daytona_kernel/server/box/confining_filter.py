"""A filter of system calls for boxes without namespaces: what it adds to the one of `seccomp`.

Such a box shares the machine's network and its tables of queues and shared memory. So its processes get
only TCP and unix sockets. The filter holds each `connect` until the process of `guard` has answered, and each
call that changes the mode or the times of a file, which Landlock does not restrict. Programs of other
architectures do not run.
"""

from __future__ import annotations

import errno
import os

from .seccomp import (
    ALLOW,
    ARCHITECTURE,
    AUDIT_ARCHITECTURES,
    FIRST,
    JUMP_ANY_BIT,
    JUMP_EQUAL,
    LOAD,
    NUMBER,
    RETURN,
    SECOND,
    error,
    instruction,
)

_AND = 0x54
_THIRD, _FOURTH = 32, 40
_ASK = 0x7FC00000

# The numbers of the calls on each architecture.
_ARCHITECTURES = ["x86_64", "aarch64", "riscv64"]
_SOCKET, _SOCKETPAIR = (41, 198, 198), (53, 199, 199)
_IOCTL = (16, 29, 29)
_ASKED = {
    "connect": (42, 203, 203),
    "fchmod": (91, 52, 52),
    "fchmodat": (268, 53, 53),
    "fchmodat2": (452, 452, 452),
    "utimensat": (280, 88, 88),
    "setpriority": (141, 140, 140),
    "ioprio_set": (251, 30, 30),
}
_OLD = {"utime": 132, "utimes": 235, "futimesat": 261}  # of x86_64 only: new programs use `utimensat`
_CHMOD = 90
_OWNERS = {
    "fchown": (93, 55, 55),
    "fchownat": (260, 54, 54),
}
_OLD_OWNERS = {"chown": 92, "lchown": 94}
_ATTRIBUTES = {
    "setxattr": (188, 5, 5),
    "lsetxattr": (189, 6, 6),
    "fsetxattr": (190, 7, 7),
    "removexattr": (197, 14, 14),
    "lremovexattr": (198, 15, 15),
    "fremovexattr": (199, 16, 16),
    "setxattrat": (463, 463, 463),
    "removexattrat": (466, 466, 466),
    "file_setattr": (469, 469, 469),
}
_WITH_MESSAGE_FLAGS = {
    "sendto": (44, 206, 206, _FOURTH),
    "sendmsg": (46, 211, 211, _THIRD),
    "sendmmsg": (307, 269, 269, _FOURTH),
}
_OF_OTHER_PROCESSES = {  # asked about unless the argument is 0, which is the process itself
    "prlimit64": (302, 261, 261, FIRST),
    "sched_setaffinity": (203, 122, 122, FIRST),
    "sched_setattr": (314, 274, 274, FIRST),
    "sched_setparam": (142, 118, 118, FIRST),
    "sched_setscheduler": (144, 119, 119, FIRST),
}
_SHARED_WITH_OTHERS = {  # System V's and POSIX's queues, semaphores and shared memory
    "shmget": (29, 194, 194),
    "shmctl": (31, 195, 195),
    "shmat": (30, 196, 196),
    "semget": (64, 190, 190),
    "semctl": (66, 191, 191),
    "semop": (65, 193, 193),
    "semtimedop": (220, 192, 192),
    "msgget": (68, 186, 186),
    "msgctl": (71, 187, 187),
    "msgrcv": (70, 188, 188),
    "msgsnd": (69, 189, 189),
    "mq_open": (240, 180, 180),
    "mq_unlink": (241, 181, 181),
}
_TIOCGPTPEER = 0x5441
_MSG_FASTOPEN = 0x20000000  # connects without `connect`
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_STREAM, _SEQPACKET, _TYPES = 1, 5, 0xF
_TCP = 6


def _when(test: int, value: int, body: bytes) -> bytes:
    """Carry out `body`, which ends with a return, if the loaded number passes the test."""
    return instruction(test, value, 0, len(body) // 8) + body


def _if_equal(value: int, body: bytes) -> bytes:
    return _when(JUMP_EQUAL, value, body)


def _return(action: int) -> bytes:
    return instruction(RETURN, action)


_PASS = _return(ALLOW)
_REFUSE = _return(error(errno.EPERM))


def _sockets(column: int, *, udp: bool) -> bytes:
    kind = instruction(LOAD, SECOND) + instruction(_AND, _TYPES)
    unix = kind + _if_equal(_STREAM, _PASS) + _if_equal(_SEQPACKET, _PASS) + _REFUSE
    default_protocol = instruction(LOAD, _THIRD) + _if_equal(0, _PASS)
    tcp = kind + _if_equal(_STREAM, default_protocol + _if_equal(_TCP, _PASS) + _REFUSE) + _REFUSE
    internet = _PASS if udp else tcp
    pair = instruction(LOAD, FIRST) + _if_equal(_AF_UNIX, unix)
    families = pair + _if_equal(_AF_INET, internet) + _if_equal(_AF_INET6, internet)
    families += _if_equal(_AF_NETLINK, default_protocol + _REFUSE)
    rules = _if_equal(_SOCKET[column], families + _return(error(errno.EAFNOSUPPORT)))
    return rules + _if_equal(_SOCKETPAIR[column], pair + _REFUSE)


def confining_filter(*, udp: bool) -> bytes | None:
    """Return the filter for this machine's architecture, or `None` if it has no table here.

    `udp` allows internet sockets of all kinds.
    """
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        return None
    column = _ARCHITECTURES.index(machine)
    rules = instruction(LOAD, NUMBER)
    if machine == "x86_64":
        rules += _if_equal(_CHMOD, _return(_ASK))
        rules += b"".join(_if_equal(number, _return(error(errno.ENOSYS))) for number in _OLD.values())
        rules += b"".join(_if_equal(number, _REFUSE) for number in _OLD_OWNERS.values())
    rules += b"".join(_if_equal(asked[column], _return(_ASK)) for asked in _ASKED.values())
    rules += b"".join(_if_equal(owners[column], _REFUSE) for owners in _OWNERS.values())
    unsupported = _return(error(errno.EOPNOTSUPP))
    rules += b"".join(_if_equal(each[column], unsupported) for each in _ATTRIBUTES.values())
    rules += _sockets(column, udp=udp)
    fast = _when(JUMP_ANY_BIT, _MSG_FASTOPEN, _REFUSE) + _PASS
    for *numbers, offset in _WITH_MESSAGE_FLAGS.values():
        rules += _if_equal(numbers[column], instruction(LOAD, offset) + fast)
    itself = _if_equal(0, _PASS) + _return(_ASK)
    for *numbers, offset in _OF_OTHER_PROCESSES.values():
        rules += _if_equal(numbers[column], instruction(LOAD, offset) + itself)
    for shared in _SHARED_WITH_OTHERS.values():
        rules += _if_equal(shared[column], _REFUSE)
    terminal = instruction(LOAD, SECOND) + _if_equal(_TIOCGPTPEER, _return(_ASK)) + _PASS
    rules += _if_equal(_IOCTL[column], terminal) + _PASS
    architecture = instruction(LOAD, ARCHITECTURE) + _if_equal(AUDIT_ARCHITECTURES[machine], rules)
    return architecture + _return(error(errno.ENOSYS))
