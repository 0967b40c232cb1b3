"""One embedded server as a child of this process, kept alive by a lease. Standard library only.

The first line of the child's standard output says where it listens. The lease is a request that this
process holds open. When this process ends, for whatever reason, the operating system closes the lease;
the server then waits a few seconds for another process to attach, and ends with everything in it.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

from .. import known_secrets
from .server_lease import read_about, request_lease

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Self

READY_SECONDS = 30.0
ENDED = "The embedded server has ended, and with it the sandbox and its files."
_PROGRAM = ("-P", "-m", "daytona_kernel.server")
_ARGUMENTS = (*_PROGRAM, "--embedded")
# The child of the shell is an orphan at once, so this process need not collect its exit status.
_IN_BACKGROUND = '"$0" "$@" </dev/null >/dev/null 2>&1 &'
# The closed servers of this process that had not ended yet. Without their exit status they stay zombies.
_ending: set[int] = set()


class EmbeddedServer:
    """A server that this process started, or one that it attached to.

    pid: the server's process id; 0 for an attached server before its lease.
    isolation: how sandboxes are isolated, "bubblewrap", "landlock" or "none"; "" before `ready` has returned.
    note: a sentence for the user about the isolation; "" for none.
    warning: the sentence that the first cell of a notebook shows; "" for none.
    bounds: sentences for the user about how much of this machine a sandbox can use.
    """

    def __init__(self, pid: int, out: int | None = None, err: int | None = None) -> None:
        self.pid = pid
        self.isolation = ""
        self.note = ""
        self.warning = ""
        self.bounds = ""
        self._out = out
        self._err = err
        self._address: tuple[str, str] | None = None
        self._lease: socket.socket | None = None
        self._refusal: dict[str, str] | None = None
        self._lock = allocate_lock()

    @classmethod
    def spawn(cls, arguments: Sequence[str] = ()) -> Self:
        """Start a server without waiting for it.

        arguments: what Python is started with; the default runs the embedded server.
        """
        from ..project_folder import mounted_project
        from ..settings.resolution import process_variables

        if not arguments:
            # The person's setting decides about the mount, in this process.
            mounted = mounted_project()
            arguments = (*_ARGUMENTS, *(() if mounted is None else ("--mount", *mounted)))

        _ending.difference_update([pid for pid in tuple(_ending) if _has_ended(pid)])
        environment = {**os.environ, **process_variables()}
        out, child_out = os.pipe()
        err = os.memfd_create("embedded-server-stderr")
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            pid = os.posix_spawn(
                sys.executable,
                (sys.executable, *arguments),
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, child_out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ),
                setsid=True,
            )
        finally:
            os.close(child_out)
            os.close(null)
        return cls(pid, out, err)

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.pid} {self._address[0] if self._address else 'starting'}>"

    def ready(self, timeout: float = READY_SECONDS) -> tuple[str, str]:
        """Wait until the server listens, take the lease, and return the API's URL and key.

        timeout: seconds to wait. Raises EmbeddedServerError, with the reason, if the server does not
        start in time, and IsolationError if it cannot isolate sandboxes.
        """
        with self._lock:
            if self._address is not None:
                return self._address
            if self._refusal is not None:
                raise self._isolation_error(self._refusal)
            greeting = self._read_greeting(time.monotonic() + timeout)
            if "isolation_failure" in greeting:
                self._refusal = greeting
                self.disown()  # it ends now, and the next `start` tries again
                self._collect_exit_status()
                raise self._isolation_error(greeting)
            url, key = greeting["api_url"], greeting["api_key"]
            if not self.take_lease(url, key):
                raise self._failure("it refused the lease")
            return url, key

    def take_lease(self, url: str, key: str) -> bool:
        """Take the lease of the server at an API URL; return False if the server or the lease is gone."""
        known_secrets.add(key)
        taken = request_lease("GET", url, key)
        if taken is None:
            return False
        self._lease, head = taken
        self._lease.settimeout(None)
        self._address = (url, key)
        about = read_about(head)
        self.isolation, self.note, self.warning = about["isolation"], about["note"], about["warning"]
        self.bounds = about.get("bounds", "")
        self.pid = self.pid or int(about.get("pid", "0"))
        return True

    def alive(self) -> bool:
        """Return whether the server still runs. A server that ends closes the lease."""
        lease = self._lease
        if lease is None:
            return self._out is not None and not _has_ended(self.pid)
        from select import POLLIN, poll

        ending = poll()
        try:
            ending.register(lease, POLLIN)
        except ValueError:  # another thread has just closed it
            return False
        # The server sends nothing more on a lease, so only its end makes it readable.
        return not ending.poll(0)

    def rouse(self) -> None:
        """Continue a server that someone has stopped by a signal. Another one takes no notice."""
        import signal

        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill a server that does not answer. Its sandboxes end with it."""
        import signal

        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # A server that has the lease's other end, or is a child that was not waited for, still has its pid.
        if self.pid and self.alive():
            try:
                os.kill(self.pid, number)
            except OSError:
                pass

    def is_at(self, netloc: str) -> bool:
        """Return whether this server listens at a host and port, or has listened there."""
        return self._address is not None and f"//{netloc}/" in f"{self._address[0]}/"

    def close(self, now: bool = False) -> None:
        """Close the lease. The server ends a few seconds later, or at once if `now` is true.

        If the server has been killed, another process removes its directory.
        """
        with self._lock:
            was_killed = self._lease is not None and not self.alive()
            self.rouse()
            if now and self._address is not None and (taken := request_lease("DELETE", *self._address)):
                taken[0].close()
            self.disown()
            self._collect_exit_status()
        if was_killed:
            _start_sweep()

    def disown(self) -> None:
        """Close this process's descriptors of the server without a message to it."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None
        for descriptor in (self._out, self._err):
            if descriptor is not None:
                os.close(descriptor)
        self._out = self._err = None

    def _read_greeting(self, deadline: float) -> dict[str, str]:
        import json
        from select import select

        if self._out is None:
            raise self._failure("it has been closed")
        line = b""
        while not line.endswith(b"\n"):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select([self._out], [], [], remaining)[0]:
                self.kill()  # the next `start` starts another one
                raise self._failure("it was not ready in time")
            piece = os.read(self._out, 65536)
            if not piece:
                raise self._failure("it ended before it was ready")
            line += piece
        try:
            greeting: dict[str, str] = json.loads(line)
        except ValueError:
            raise self._failure("its first line is not the expected JSON") from None
        return greeting

    @staticmethod
    def _isolation_error(refusal: dict[str, str]) -> Exception:
        from ..errors import IsolationError

        return IsolationError(refusal["isolation_failure"], by_machine=bool(refusal["by_machine"]))

    def _failure(self, problem: str) -> Exception:
        from ..errors import EmbeddedServerError

        printed = ""
        if self._err is not None:
            size = os.fstat(self._err).st_size
            printed = os.pread(self._err, 4000, max(0, size - 4000)).decode("utf-8", "replace").strip()
        reason = f": {printed.splitlines()[-1]}" if printed else ""
        return EmbeddedServerError(
            f"The embedded server did not start: {problem}{reason}. "
            "Set DAYTONA_API_KEY to use Daytona instead."
        )

    def _collect_exit_status(self) -> None:
        """Collect the exit status now, or at the next start of a server if this one has not ended yet."""
        if not _has_ended(self.pid):
            _ending.add(self.pid)


def _has_ended(pid: int) -> bool:
    """Return whether a child has ended, and collect its exit status if so."""
    try:
        # 0 would be any child of this process.
        return pid == 0 or os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _start_sweep() -> None:
    """Start a process that removes the directories of dead servers, and do not wait for its end."""
    command = ("/bin/sh", "-c", _IN_BACKGROUND, sys.executable, *_PROGRAM, "--sweep")
    os.waitpid(os.posix_spawn(command[0], command, os.environ, setsid=True), 0)
