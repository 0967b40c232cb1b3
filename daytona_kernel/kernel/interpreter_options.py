"""The options on the kernel's command line that are for the interpreter: `--InteractiveShell.colors=Linux`.

Programs such as nbclient pass options of IPython to each kernel that they take for an ipykernel. IPython
is in the sandbox, so its options go there. Options of the kernel's own process, as its sockets and its
keys, stay here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTION = re.compile(r"--?(?P<name>[A-Za-z_][\w.-]*)(?P<value>=.*)?", re.DOTALL)
# The application in the sandbox has the same class name, but its connection is the agent's.
_APPLICATIONS = ("IPKernelApp", "InteractiveShellApp")
_APPLICATION_TRAITS = frozenset(
    {
        "capture_fd_output",
        "code_to_run",
        "exec_PYTHONSTARTUP",
        "exec_files",
        "exec_lines",
        "extensions",
        "extra_extensions",
        "file_to_run",
        "gui",
        "hide_initial_ns",
        "ignore_cwd",
        "matplotlib",
        "module_to_run",
        "pylab",
        "pylab_import_all",
        "reraise_ipython_extension_failures",
    }
)
_OWN_CLASSES = frozenset(
    {"Application", "ConnectionFileMixin", "DaytonaKernel", "DaytonaKernelApp", "Session"}
)
# IPython's short names for options of its shell. Each but the last two may have `no-` in front.
_FLAGS = ("autoindent", "automagic", "color-info", "ignore-cwd", "pdb", "pprint", "pylab", "matplotlib")
_ALIASES = frozenset(
    {*_FLAGS, *(f"no-{each}" for each in _FLAGS[:-2])}
    | {"autocall", "cache-size", "colors", "ext", "gui", "logappend", "logfile", "nosep", "theme"}
)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a command line's words that are the kernel's own, and those that are for the interpreter.

    A word behind an option without `=` is its value if it is no option itself.
    """
    own: list[str] = []
    interpreter: list[str] = []
    chosen = own
    for word in words:
        option = _OPTION.fullmatch(word)
        if option is not None:
            chosen = interpreter if _is_for_interpreter(option["name"]) else own
        chosen.append(word)
    return own, interpreter


def _is_for_interpreter(name: str) -> bool:
    owner, dot, trait = name.partition(".")
    if not dot:
        return name in _ALIASES
    if owner in _APPLICATIONS:
        return trait in _APPLICATION_TRAITS
    return owner not in _OWN_CLASSES
