"""Run a program of this package as on another system: `lacking.py SYSTEM MODULE [ARGUMENT…]`.

The package's own modules see `os`, `signal`, `socket` and `sys` without what that system lacks, and cannot
import the modules that it lacks. Python itself and the installed packages see this system.
MODULE is a module with a function `main`, or `all` to import every module that a hosted kernel can need.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import ntpath
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "daytona_kernel"
# They run on Linux, or inside a sandbox.
ELSEWHERE = (f"{PACKAGE}.server", f"{PACKAGE}.agent")

_OF_LINUX = {
    "os": {"memfd_create", "pidfd_open", "MFD_CLOEXEC", "sched_getaffinity", "setns", "unshare"},
    "signal": {"SIGPWR", "SIGSTKFLT", "SIGPOLL", "SIGRTMIN", "SIGRTMAX"},
    "socket": {"SOCK_CLOEXEC", "SOCK_NONBLOCK", "AF_NETLINK", "MSG_CMSG_CLOEXEC"},
}
_OF_UNIX = {
    "os": {
        *(
            "fork",
            "forkpty",
            "posix_spawn",
            "posix_spawnp",
            "register_at_fork",
            "wait",
            "wait4",
            "WNOHANG",
            "killpg",
        ),
        *(
            "getuid",
            "geteuid",
            "getgid",
            "getegid",
            "getpgid",
            "getpgrp",
            "getsid",
            "setsid",
            "setpgid",
            "uname",
        ),
        *(
            "O_NOFOLLOW",
            "O_NONBLOCK",
            "O_CLOEXEC",
            "O_DIRECTORY",
            "pread",
            "pwrite",
            "statvfs",
            "mkfifo",
            "openpty",
        ),
        *("chown", "fchmod", "fchown", "lchown", "set_blocking", "sendfile", "getloadavg", "nice", "ctermid"),
    },
    "signal": {
        *(
            "SIGCHLD",
            "SIGHUP",
            "SIGKILL",
            "SIGQUIT",
            "SIGUSR1",
            "SIGUSR2",
            "SIGPIPE",
            "SIGALRM",
            "SIGSTOP",
            "SIGCONT",
        ),
        *("pthread_sigmask", "SIG_SETMASK", "SIG_BLOCK", "sigwait", "pause", "alarm", "setitimer"),
    },
    "socket": {"AF_UNIX", "socketpair_", "send_fds", "recv_fds", "SCM_RIGHTS", "CMSG_SPACE"},
}
LACKS: dict[str, dict[str, set[str]]] = {
    "darwin": _OF_LINUX,
    "win32": {name: _OF_LINUX[name] | _OF_UNIX[name] for name in _OF_LINUX},
}
_MODULES = {"darwin": set[str](), "win32": {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}}
_WITH_DIRECTORY = (
    "open",
    "mkdir",
    "rename",
    "symlink",
    "unlink",
    "stat",
    "readlink",
    "chmod",
    "link",
    "rmdir",
)


class Lacking(ModuleType):
    """A module without some of its names."""

    def __init__(self, whole: ModuleType, lacking: set[str], **other: Any) -> None:
        super().__init__(whole.__name__)
        vars(self).update(_whole=whole, _lacking=lacking, **other)

    def __getattr__(self, name: str) -> Any:
        if name in vars(self)["_lacking"]:
            raise AttributeError(f"this system has no {self.__name__}.{name}")
        return getattr(vars(self)["_whole"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_whole"], name, value)


class Loader(importlib.abc.Loader):
    """Loads the package's modules so that their imports see the other system."""

    def __init__(self, loader: importlib.machinery.SourceFileLoader, system: str) -> None:
        self._loader = loader
        self._system = system
        lacks = LACKS[system]
        functions = (
            {name: self._without_directory(name) for name in _WITH_DIRECTORY} if system == "win32" else {}
        )
        supported: set[Any] = set() if system == "win32" else os.supports_dir_fd
        # A drive is then a folder of this system with the name "C:".
        paths: dict[str, Any] = {"path": ntpath, "sep": "\\", "altsep": "/"} if system == "win32" else {}
        self._seen = {
            "os": Lacking(os, lacks["os"], supports_dir_fd=supported, **functions, **paths),
            "signal": Lacking(importlib.import_module("signal"), lacks["signal"]),
            "socket": Lacking(importlib.import_module("socket"), lacks["socket"]),
            "sys": Lacking(sys, set(), platform=system),
        }

    @staticmethod
    def _without_directory(name: str) -> Any:
        whole = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if any(option.endswith("dir_fd") for option in options):
                raise NotImplementedError(f"{name}: dir_fd unavailable on this platform")
            return whole(*arguments, **options)

        return call

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def import_(name: str, *arguments: Any, **options: Any) -> Any:
            if name.partition(".")[0] in _MODULES[self._system]:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return self._seen.get(name) or builtins.__import__(name, *arguments, **options)

        vars(module)["__builtins__"] = {**vars(builtins), "__import__": import_}
        code = self._loader.get_code(module.__name__)
        assert code is not None
        exec(code, vars(module))  # noqa: S102  # that is what a loader does


class Finder(importlib.abc.MetaPathFinder):
    """Finds the package's modules for `Loader`."""

    def __init__(self, system: str) -> None:
        self._system = system

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not f"{fullname}.".startswith(f"{PACKAGE}."):
            return None
        if fullname.startswith(ELSEWHERE):
            raise ModuleNotFoundError(f"{fullname} is for Linux", name=fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader, self._system)
        return spec


def names() -> list[str]:
    """Return all modules of the package that a hosted kernel, the client or the command line can need."""
    root = importlib.util.find_spec(PACKAGE)
    assert root is not None
    assert root.submodule_search_locations is not None
    found = []
    for location in root.submodule_search_locations:
        for path in sorted(Path(location).rglob("*.py")):
            name = ".".join((PACKAGE, *path.relative_to(location).with_suffix("").parts))
            found.append(name.removesuffix(".__init__"))
    return [name for name in found if not name.startswith(ELSEWHERE) and not name.endswith("__main__")]


def main() -> None:
    """Run the program that the arguments name."""
    system, module = sys.argv[1:3]
    sys.argv = [module, *sys.argv[3:]]
    sys.path.pop(0)
    sys.meta_path.insert(0, Finder(system))
    if module == "all":
        for name in names():
            importlib.import_module(name)
        return
    importlib.import_module(module).main()


if __name__ == "__main__":
    main()
