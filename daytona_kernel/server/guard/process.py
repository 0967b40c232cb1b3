"""A program that starts a sandbox in a Landlock domain, and carries out calls that Landlock does not check.

Its arguments are POLICY DOMAIN COMMAND…. POLICY is a descriptor of the marshalled arguments of `Policy`.
DOMAIN is the command that enters the domain, up to `--`. It gets one more argument, a socket, and then
COMMAND.

A filter holds each call that connects a socket or changes the mode or times of a file, until this process has
answered. This process copies the arguments once, decides about them, and carries the call out itself. So the
sandbox cannot exchange an argument after the decision.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import marshal
import os
import select
import signal
import socket
import stat
import struct
import sys
import threading
from functools import partial

from ..inside.supervisor import end_descendants
from .name_service import NameService
from .policy import Policy, is_below
from .question import AT_FDCWD, CONTINUE, Question, as_seen_by

TYPE_CHECKING = False

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TIOCGPTPEER = 0x5441
_ADDRESS_BYTES = 128
_AT_ONCE = 64
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_NOW = (1 << 30) - 1
_MODES = 0o1777  # not those that run a program as another user

_libc = ctypes.CDLL(None, use_errno=True)


class Guard:
    """The answers to what the filter asks through `listener`. `first` is the sandbox's first process."""

    def __init__(self, listener: int, policy: Policy, first: int) -> None:
        self._listener = listener
        self._policy = policy
        self._first = first
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        generic = os.uname().machine != "x86_64"
        self._names = NameService(policy.name_servers) if policy.name_servers else None
        self._calls: dict[int, Callable[[Question], int]] = {
            203 if generic else 42: self._connect,
            29 if generic else 16: self._open_terminal,
            52 if generic else 91: lambda question: self._change_mode(question, 0, None, 1, 0),
            53 if generic else 268: lambda question: self._change_mode(question, 0, 1, 2, 0),
            452: lambda question: self._change_mode(question, 0, 1, 2, question.number(3)),
            88 if generic else 280: self._change_times,
        }
        for number in (261, 122, 274, 118, 119) if generic else (302, 203, 314, 142, 144):
            self._calls[number] = partial(self._of_a_process, position=0)
        for number, process in ((140, 0), (30, 1)) if generic else ((141, 0), (251, 1)):
            self._calls[number] = partial(self._of_a_process, position=1, kind=process)
        if not generic:
            self._calls[90] = lambda question: self._change_mode(question, None, 0, 1, 0)

    def serve(self) -> None:
        """Take one question. It is answered in a thread, because a connection may take long."""
        try:
            question = Question(self._listener)
        except OSError:
            return  # the process has ended
        if not self._places.acquire(blocking=False):
            question.answer(errno.EAGAIN)
            return
        try:
            threading.Thread(target=self._work, args=(question,), daemon=True).start()
        except RuntimeError:  # the sandbox has used up its processes, and this one counts as one of them
            self._places.release()
            question.answer(errno.EAGAIN)

    def _work(self, question: Question) -> None:
        try:
            error = self._calls[question.call](question)
        except OSError as failure:
            error = failure.errno or errno.EPERM
        except (ValueError, struct.error):
            error = errno.EINVAL
        finally:
            self._places.release()
        if error >= 0:
            question.answer(error)

    def _open_terminal(self, question: Question) -> int:
        """Give the process the other end of its own terminal, which it cannot open by a name."""
        flags = question.number(2)
        with question.copied(0) as master:
            end = fcntl.ioctl(master, _TIOCGPTPEER, flags & (os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
        try:
            question.answer_with(end, flags)
        finally:
            os.close(end)
        return -1

    def _of_a_process(self, question: Question, position: int, kind: int | None = None) -> int:
        """Let the kernel carry the call out if the process is one of the sandbox.

        `kind` is the first argument. Both are in registers, so the sandbox cannot exchange them.
        """
        if kind is not None and question.number(0) != kind:
            return errno.EPERM
        named = question.number(position)
        if named != 0 and not is_below(named, self._first):
            return errno.EPERM
        question.answer(0, CONTINUE)
        return -1

    def _change_mode(
        self, question: Question, directory: int | None, path: int | None, mode: int, flags: int
    ) -> int:
        with question.file(directory, path, flags) as found:
            if not self._policy.owns(found):
                return errno.EPERM
            os.chmod(f"/proc/self/fd/{found}", question.number(mode) & _MODES)
        return 0

    def _change_times(self, question: Question) -> int:
        times = (0, _NOW, 0, _NOW)
        if question.arguments[2]:
            times = struct.unpack("@llll", question.content(2, struct.calcsize("@llll")))
        with question.file(0, 1, question.number(3)) as found:
            if not self._policy.owns(found):
                return errno.EPERM
            place = f"/proc/self/fd/{found}".encode()
            if _libc.utimensat(AT_FDCWD, place, struct.pack("@llll", *times), 0) != 0:
                return ctypes.get_errno()
        return 0

    def _connect(self, question: Question) -> int:
        size = question.number(2)
        if not 2 <= size <= _ADDRESS_BYTES:  # noqa: PLR2004  # the family's bytes
            return errno.EINVAL
        address = question.content(1, size)
        family = struct.unpack_from("=H", address)[0]
        with question.copied(0) as descriptor:
            if family == socket.AF_UNIX:
                return self._connect_unix(question.task, descriptor, address[2:])
            if family in (socket.AF_INET, socket.AF_INET6):
                host, port = _host_and_port(family, address)
                if self._names is not None and (host, port) in self._policy.name_servers:
                    return _connect_raw(descriptor, _address(family, *self._names.address))
                if not self._policy.allows(host, port, self._first):
                    return errno.EACCES
            elif family != socket.AF_UNSPEC:  # which disconnects
                return errno.EAFNOSUPPORT
            return _connect_raw(descriptor, address)

    def _connect_unix(self, task: int, descriptor: int, name: bytes) -> int:
        path, _, _ = name.partition(b"\0")
        if not path:
            return errno.EACCES  # an abstract name
        found = os.open(as_seen_by(task, AT_FDCWD, os.fsdecode(path)), os.O_PATH | os.O_CLOEXEC)
        try:
            if not self._policy.owns(found):
                return errno.EACCES
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                return errno.ECONNREFUSED
            here = f"/proc/self/fd/{found}"
            return _connect_raw(descriptor, struct.pack("=H", socket.AF_UNIX) + here.encode() + b"\0")
        finally:
            os.close(found)


def _host_and_port(family: int, address: bytes) -> tuple[str, int]:
    start, length = (4, 4) if family == socket.AF_INET else (8, 16)
    if len(address) < start + length:
        raise ValueError
    host = socket.inet_ntop(family, address[start : start + length])
    return host, int.from_bytes(address[2:4], "big")


def _address(family: int, host: str, port: int) -> bytes:
    """Return an IPv4 address for a socket of the family."""
    head, packed = struct.pack("=H", family) + port.to_bytes(2, "big"), socket.inet_aton(host)
    if family == socket.AF_INET:
        return head + packed + bytes(8)
    return head + bytes(4) + socket.inet_pton(family, f"::ffff:{host}") + bytes(4)


def _connect_raw(descriptor: int, address: bytes) -> int:
    if _libc.connect(descriptor, address, len(address)) == 0:
        return 0
    return ctypes.get_errno()


def _start(command: list[str]) -> tuple[int, int]:
    """Start the sandbox. Return its first process and the listener. Exits if it does not start."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    first = os.fork()
    if first == 0:
        ours.close()
        theirs.set_inheritable(True)
        specification = command.index("--")
        os.execv(  # noqa: S606  # the command is the server's
            command[0], [*command[:specification], str(theirs.fileno()), *command[specification + 1 :]]
        )
    theirs.close()
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        _, status = os.waitpid(first, 0)
        sys.exit(os.waitstatus_to_exitcode(status) or 1)
    os.set_inheritable(descriptors[0], False)
    ours.close()
    return first, descriptors[0]


def end(status: int) -> None:
    """Kill all processes of the sandbox, and exit."""
    end_descendants()
    os._exit(status)


def main() -> None:
    """Start the sandbox, and answer until its first process has ended."""
    with open(int(sys.argv[1]), "rb") as file:
        policy = Policy(*marshal.loads(file.read()))  # noqa: S302  # the server wrote it
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    first, listener = _start(sys.argv[2:])
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end(1))
    # The server's end is a signal. The sandbox may have stopped its first process, which then ends nothing.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.closerange(3, listener)
    os.closerange(listener + 1, 1 << 16)
    guard = Guard(listener, policy, first)
    ended = os.pidfd_open(first)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if ended in ready:
            _, status = os.waitpid(first, 0)
            end(int(status != 0))
        guard.serve()


if __name__ == "__main__":
    main()
