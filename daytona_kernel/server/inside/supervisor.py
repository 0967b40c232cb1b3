"""The supervisor: the first process of a box. It starts and ends all others, and reports their ends.

Usage: `python -I -S supervisor.py FD [RLIMITS]`. FD is one end of a `SOCK_SEQPACKET` pair. The server has the
other end. If that end closes, because the server closed it or died, the supervisor kills all its
descendants and exits. It imports only small modules, because a sandbox starts as fast as this program. It
is one file, because an isolated box sees this file and nothing else of the server.

Trees. Each process that the server requests is the root of a process tree. A root leads its own session and
is a child subreaper, so that its orphaned descendants stay below it. When a root ends, the supervisor
inherits its orphans and notes their tree: the supervisor is a subreaper too, or pid 1. So a signal reaches
the whole tree, including processes that called `setsid` or forked twice.

Messages. A request is a marshalled tuple, with descriptors attached. A request that is longer than a packet
travels in a memory file. A report is a fixed struct: the server must not parse anything richer, because a
process in the sandbox could forge it.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import marshal
import os
import select
import signal
import socket
import struct
import sys
import termios

TYPE_CHECKING = False  # the import of `typing` would take a third of the start
if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT = struct.Struct("<Bqq")  # kind, tree, value
READY, STARTED, FAILED, EXITED, GONE, OPENED = range(6)
SPAWN, SIGNAL, WORKER, SOCKET = range(4)
IN_FILE = b"file"  # stands for a request that is in the first descriptor
PACKET = 1 << 16
GUARDED = "GUARDED"  # a variable that `guard.domain` sets

OOM_SCORE = 500  # of 1000
_MORE_OF_CHILDREN = 100  # so that the supervisor is the last process that the OOM killer takes
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_RESET = (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ)
_SIG_DFL = 0
_STOP_ROUNDS = 100  # a tree that still grows after these forks faster than it can be stopped
_libc = ctypes.CDLL(None, use_errno=True)


def children_of(pid: int) -> list[int]:
    """Return the pids of the children of all threads of `pid`. A process that has ended has none."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def stat_of(pid: int) -> tuple[bytes, int] | None:
    """Return the state letter and the session id of `pid`, or None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[3])


def alive_below(roots: Iterable[int]) -> list[int]:
    """Return `roots` and all their descendants, parents first, without zombies."""
    return [pid for pid, _ in states_below(roots)]


def states_below(roots: Iterable[int]) -> list[tuple[int, bytes]]:
    """Return `roots` and all their descendants with their states, parents first, without zombies."""
    found = []
    pending = list(roots)
    while pending:
        pid = pending.pop(0)
        stat = stat_of(pid)
        if stat is None:
            continue
        if stat[0] not in b"ZX":
            found.append((pid, stat[0]))
        pending += children_of(pid)
    return found


def receive(channel: socket.socket, size: int, count: int) -> tuple[bytes, list[int]]:
    """Return a packet and up to `count` descriptors that came with it.

    Children do not inherit these descriptors, unlike those of `socket.recv_fds`.
    """
    packet, attached, _, _ = channel.recvmsg(size, socket.CMSG_SPACE(count * 4), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _, _, data in attached:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return packet, list(fds)


def send_signal(pids: Iterable[int], signum: int) -> None:
    """Send `signum` to each of `pids` that has not ended."""
    for pid in pids:
        try:
            os.kill(pid, signum)
        except OSError:
            pass


def kill(members: list[int]) -> None:
    """Kill the trees of `members`. Stop them first, so that no process forks in the meantime."""
    stopped: set[int] = set()
    for _ in range(_STOP_ROUNDS):
        found = set(alive_below(members)) - stopped
        if not found:
            break
        send_signal(found, signal.SIGSTOP)
        stopped |= found
    send_signal(stopped, signal.SIGKILL)


def end_descendants() -> None:
    """Kill all descendants. Return when none is left."""
    own = os.getpid()
    while True:
        kill(children_of(own))
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class Preference:
    """What the kernel's OOM killer takes first: the children, then this process, and then Jupyter."""

    def __init__(self) -> None:
        self.file: int | None = None
        self.own = OOM_SCORE
        try:
            # It is kept, because a process that nothing may trace cannot open it.
            self.file = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self.own = max(OOM_SCORE, int(os.pread(self.file, 16, 0)))
        except (OSError, ValueError):
            pass  # the machine has no such file, or does not allow it
        self.set(self.own)

    def set(self, score: int) -> None:
        """Set the score of this process, which its children inherit."""
        try:
            if self.file is not None:
                os.pwrite(self.file, b"%d" % min(score, 1000), 0)
        except OSError:
            pass

    def fork(self) -> int:
        """Fork a child with a higher score. Return its pid, and 0 in the child."""
        self.set(self.own + _MORE_OF_CHILDREN)
        try:
            pid = os.fork()
        except OSError:
            self.set(self.own)
            raise
        if pid:
            self.set(self.own)
        return pid


class Supervisor:
    """The process trees of a box, and the channel to the server."""

    def __init__(self, channel: socket.socket, preference: Preference) -> None:
        self.channel = channel
        self.preference = preference
        self.trees: dict[int, int] = {}  # the tree of each direct child, by pid
        self.roots: dict[int, int] = {}  # the tree of each root, by pid
        self.doomed: set[int] = set()  # trees that are being killed
        self.leaving = False

    def leave(self, *_: object) -> None:
        """Handle SIGTERM: stop serving requests."""
        self.leaving = True

    def run(self) -> None:
        """Serve requests until the server has gone."""
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        # The handler raises nothing. The death of the server has two effects, this signal and the end of the
        # channel, and neither may interrupt the work that the other one started. In a box of its own, the
        # signal could only come from the sandbox.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if os.getpid() == 1 else self.leave)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        poll.register(wake, select.POLLIN)
        self.report(READY, 0, os.getpid())
        while not self.leaving:
            ready = [fd for fd, _ in poll.poll()]
            if wake in ready:
                try:
                    os.read(wake, 1 << 12)
                except BlockingIOError:
                    pass
                self.reap()
            if self.channel.fileno() in ready and not self.handle():
                return

    def handle(self) -> bool:
        """Serve one request. Return False if the server has gone."""
        try:
            packet, fds = receive(self.channel, PACKET, 8)
        except OSError:
            return False
        if not packet:
            return False
        try:
            if packet == IN_FILE:
                file = fds.pop(0)
                packet = os.pread(file, os.fstat(file).st_size, 0)
                os.close(file)
            kind, tree, *arguments = marshal.loads(packet)  # noqa: S302  # only the server writes here
            if kind == SPAWN:
                self.spawn(tree, fds, *arguments)
            elif kind == WORKER:
                self.start_worker(tree, fds, *arguments)
            elif kind == SOCKET:
                self.open_socket(tree, *arguments)
            else:
                self.signal(tree, *arguments)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def spawn(
        self,
        tree: int,
        fds: list[int],
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        size: tuple[int, int] | None,
    ) -> None:
        """Start `argv` as the root of `tree`. With `size` (rows, columns), it gets a new terminal."""
        passed: list[int] = []
        try:
            if size is not None:
                master, slave = os.openpty()
                passed = [master]
                fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
                fds += [slave]
                stdio = [slave] * 3
            else:
                stdio = fds[:3]
            failure_out, failure_in = os.pipe()
            pid = self.preference.fork()
            if pid == 0:
                try:
                    self.become_child(stdio, cwd, size is not None)
                    # `execvpe` imports a module and searches, which a path does not need.
                    (os.execve if "/" in argv[0] else os.execvpe)(argv[0], argv, env)
                except OSError as error:
                    os.write(failure_in, struct.pack("<i", error.errno or errno.EINVAL))
                finally:
                    os._exit(127)
            os.close(failure_in)
            failure = os.read(failure_out, 4)
            os.close(failure_out)
            if failure:
                os.waitpid(pid, 0)
                raise OSError(struct.unpack("<i", failure)[0], "exec")  # noqa: TRY301  # as for the other failures
            self.roots[pid] = self.trees[pid] = tree
            self.report(STARTED, tree, pid, passed)
        except OSError as error:
            self.report(FAILED, tree, error.errno or errno.EINVAL)
        finally:
            for fd in passed:
                os.close(fd)

    def become_child(self, stdio: list[int], cwd: str, terminal: bool) -> None:
        """Prepare this forked process for its program."""
        os.setsid()
        for signum in _RESET:
            _libc.signal(int(signum), _SIG_DFL)  # `signal.signal` takes longer than the rest of this function
        signal.set_wakeup_fd(-1)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for target, fd in enumerate(stdio):
            os.dup2(fd, target)  # the descriptors in `stdio` are above 2, so this overwrites none of them
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(cwd)

    def start_worker(self, tree: int, fds: list[int], source: str, cwd: str, env: dict[str, str]) -> None:
        """Run the Python program `source` with `fds[0]` as its stdin, in a fork: that is faster than exec."""
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(fds[0], 0, inheritable=False)
                self.channel.close()
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.chdir(cwd)
                os.environ.clear()
                os.environ.update(env)
                exec(compile(source, "<worker>", "exec"), {"__name__": "__main__"})
            except BaseException as error:  # noqa: BLE001  # nothing may leave the fork
                os.write(2, f"worker: {error!r}\n".encode())
            finally:
                os._exit(0)
        self.roots[pid] = self.trees[pid] = tree
        self.report(STARTED, tree, pid)

    def open_socket(self, number: int, family: int) -> None:
        """Send the server a new TCP socket of the box's network. The server connects it."""
        try:
            with socket.socket(family, socket.SOCK_STREAM) as opened:
                self.report(OPENED, number, 0, [opened.fileno()])
        except OSError as error:
            self.report(OPENED, number, error.errno or errno.EINVAL)

    def reap(self) -> None:
        """Collect the children that have ended, report them, and adopt their orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            tree = self.trees.pop(pid, None)
            root = self.roots.pop(pid, None)
            if root is not None:
                self.report(EXITED, root, status)  # first, because a request is waiting for it
            self.adopt(tree)
            if tree is not None and tree not in self.trees.values():
                self.doomed.discard(tree)
                self.report(GONE, tree, 0)

    def adopt(self, tree: int | None) -> None:
        """Note the tree of each new child: that of its session's leader, or else `tree`."""
        for pid in children_of(os.getpid()):
            if pid not in self.trees:
                stat = stat_of(pid)
                owner = self.roots.get(stat[1], tree) if stat else tree
                if owner is not None:
                    self.trees[pid] = owner
                if owner in self.doomed:
                    kill([pid])  # its parent was killed during the fork

    def signal(self, tree: int, signum: int) -> None:
        """Send `signum` to all of `tree`."""
        members = [pid for pid, owner in self.trees.items() if owner == tree]
        if signum == signal.SIGKILL:
            if members:
                self.doomed.add(tree)
            kill(members)
        else:
            send_signal(alive_below(members), signum)
            send_signal(alive_below(members), signal.SIGCONT)

    def report(self, kind: int, tree: int, value: int, fds: Iterable[int] = ()) -> None:
        """Send a report to the server."""
        try:
            socket.send_fds(self.channel, [REPORT.pack(kind, tree, value)], fds)
        except OSError:
            pass  # the server has gone; `handle` notices it


def set_limits(limits: str) -> None:
    """Apply `name=value,…`, with names of the `resource` module. A lower hard limit takes precedence."""
    import resource

    for item in filter(None, limits.split(",")):
        name, _, value = item.partition("=")
        which = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(which)[1]
        limit = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(which, (limit, limit))


def main() -> None:
    """Run the supervisor, with the arguments that the module's docstring describes."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    # If pid 1 is killed, so are all others. Otherwise the supervisor needs time to kill its descendants.
    is_first = os.getpid() == 1
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if is_first else signal.SIGTERM, 0, 0, 0)
    if sys.argv[2:]:
        set_limits(sys.argv[2])
    preference = Preference()
    # The processes of a box have the same user. This one and its workers are not to be traced or opened,
    # except by a guard that carries out their calls.
    if GUARDED not in os.environ:
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    supervisor = Supervisor(socket.socket(fileno=fd), preference)
    try:
        supervisor.run()
    finally:
        end_descendants()


if __name__ == "__main__":
    main()
