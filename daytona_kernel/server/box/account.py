"""The user of this machine as whom the processes of an isolated box run.

It is the server's own user. But a server that root runs gives its boxes a user id that nobody else has: root
owns files of /proc that change the whole machine, and no limit of processes holds for root. Inside, the user
is always `daytona`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import random
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from .python_environment import base_python

SEEN_AS = 1000  # the user id and the group id inside

_UNUSED_IDS = range(61_184, 65_520)  # where systemd chooses ids for services, too
_CLONE_NEWUSER = 0x10000000
_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for `setpriv`, which gives them up


@dataclass(frozen=True, slots=True)
class Account:
    """A user id and a group id of this machine.

    `namespace` is a descriptor of a user namespace with root and this user. `None` means that the ids are the
    server's own and that bubblewrap makes the namespace.
    """

    uid: int
    gid: int
    namespace: int | None = None

    @property
    def options(self) -> list[str]:
        """The options of bubblewrap that concern the user."""
        if self.namespace is None:
            return ["--unshare-user", "--uid", str(SEEN_AS), "--gid", str(SEEN_AS), "--cap-drop", "ALL"]
        kept = [argument for name in _CAPABILITIES for argument in ("--cap-add", name)]
        return ["--userns", str(self.namespace), "--cap-drop", "ALL", *kept]

    @property
    def command(self) -> list[str]:
        """The command that starts another one inside as this user, without any capability."""
        if self.namespace is None:
            return []
        return [
            *(
                os.path.realpath(shutil.which("setpriv") or "/usr/bin/setpriv"),
                f"--reuid={SEEN_AS}",
                f"--regid={SEEN_AS}",
                "--clear-groups",
            ),
            *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"),
        ]

    def give(self, directory: Path) -> None:
        """Make the user the owner of `directory` and of everything in it, which the server has made."""
        if self.namespace is not None:
            for parent, directories, files in os.walk(directory):
                for name in (".", *directories, *files):
                    os.chown(f"{parent}/{name}", self.uid, self.gid, follow_symlinks=False)

    def give_pipe(self, fd: int) -> None:
        """Make the user the owner of the pipe `fd`, so that it opens `/dev/stderr` and the like."""
        if self.namespace is not None and stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.chown(fd, self.uid, self.gid)


def choose_account() -> Account:
    """Return the account for the boxes of this server."""
    own = Account(os.getuid(), os.getgid())
    if own.uid != 0 or shutil.which("setpriv") is None or not _others_can_run_python():
        return own
    number = next(number for number in random.sample(_UNUSED_IDS, len(_UNUSED_IDS)) if _is_unused(number))
    try:
        return Account(number, number, _make_user_namespace(number))
    except OSError:
        return own  # in a container whose root may not use other ids


def _is_unused(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return True
    return False


def _others_can_run_python() -> bool:
    """Return whether the files of Python are readable for everyone, as installers leave them."""
    program, library = Path(base_python()).stat(), Path(os.__file__).stat()
    return bool(program.st_mode & stat.S_IXOTH and library.st_mode & stat.S_IROTH)


def _make_user_namespace(number: int) -> int:
    """Return a descriptor of a new user namespace. Its users are root, and `number`, which is `SEEN_AS`."""
    made_out, made_in = os.pipe()
    hold_out, hold_in = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold_in)
        if ctypes.CDLL(None).unshare(_CLONE_NEWUSER) == 0:
            os.write(made_in, b"1")
            os.read(hold_out, 1)
        os._exit(0)
    try:
        os.close(made_in)
        if not os.read(made_out, 1):
            raise PermissionError("this machine allows no user namespaces")
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text(f"0 0 1\n{SEEN_AS} {number} 1\n")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (made_out, hold_out, hold_in):
            os.close(fd)
        os.waitpid(child, 0)
