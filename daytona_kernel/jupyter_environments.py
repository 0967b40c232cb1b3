"""The Python environments whose JupyterLab or Notebook a person may use, and what each of them lacks.

A kernel may be in another environment than Jupyter. The pages of Jupyter get their scripts from Jupyter's
environment, so widgets and live logs need ipywidgets and anywidget there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .kernelspecs import Kernelspec

# The page's part of each package, below a directory of Jupyter's data.
_EXTENSIONS = {
    "ipywidgets": "labextensions/@jupyter-widgets/jupyterlab-manager",
    "anywidget": "labextensions/anywidget",
}
_PROGRAMS = ("jupyter-lab", "jupyter-notebook")
# The first line of a script that pip wrote, or the second one if the path is long or has a space.
_SHEBANG = re.compile(
    rb"#! ?(?:/bin/sh\n'''exec' \"?)?(/[^\n\"]*?/bin)/python[\d.]*\"?(?: \"\$0\" \"\$@\")?\s*\n"
)
_SCRIPT_START = 4096


@dataclass(frozen=True)
class JupyterEnvironment:
    """An environment with JupyterLab or Notebook. prefix: its `sys.prefix`; reason: why it was looked at."""

    prefix: Path
    reason: str

    @property
    def missing_packages(self) -> list[str]:
        """The packages whose scripts Jupyter's pages lack."""
        return [
            package
            for package, extension in _EXTENSIONS.items()
            if not any((directory / extension).is_dir() for directory in self._data_directories)
        ]

    def sees(self, kernelspec: Kernelspec) -> bool:
        """Return whether this Jupyter lists a kernelspec."""
        return any(
            kernelspec.directory.parent.absolute() == directory / "kernels"
            for directory in self._data_directories
        )

    @property
    def _data_directories(self) -> list[Path]:
        from jupyter_core.paths import ENV_JUPYTER_PATH, jupyter_path

        others = [each for each in jupyter_path() if each not in ENV_JUPYTER_PATH]
        return [self.prefix / "share/jupyter", *map(Path, others)]


def find(prefixes: Iterable[Path] = ()) -> list[JupyterEnvironment]:
    """Return the environments with Jupyter: of this Python, `prefixes`, PATH, and the servers that run."""
    found = [JupyterEnvironment(Path(sys.prefix), "this environment")]
    found += [JupyterEnvironment(each, "named") for each in prefixes]
    for program in _PROGRAMS:
        if (path := shutil.which(program)) and (prefix := _prefix_of(Path(path))):
            found.append(JupyterEnvironment(prefix, f"{program} on PATH"))
    found += _running()
    unique = {each.prefix: each for each in reversed(found) if _has_jupyter(each.prefix)}
    return list(reversed(unique.values()))


def _has_jupyter(prefix: Path) -> bool:
    return any((prefix / "bin" / program).is_file() for program in _PROGRAMS)


def _prefix_of(script: Path) -> Path | None:
    """Return the environment of a Python script's interpreter; None if it does not name one."""
    try:
        with script.open("rb") as file:
            match = _SHEBANG.match(file.read(_SCRIPT_START))
    except OSError:
        return None
    return Path(os.fsdecode(match[1])).parent if match else None


def _running() -> Iterator[JupyterEnvironment]:
    """Yield the environments of this user's running Jupyter servers."""
    from jupyter_core.paths import jupyter_runtime_dir

    for file in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
        try:
            server = json.loads(file.read_text(encoding="utf-8"))
            words = Path(f"/proc/{int(server['pid'])}/cmdline").read_bytes().split(b"\0")
            url = str(server["url"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # the server has ended
        # Python, perhaps with options, and the path of its script; or `python -m jupyterlab`.
        program = Path(os.fsdecode(words[0]))
        if program.parent.name == "bin" and program.is_absolute():
            yield JupyterEnvironment(program.parents[1], f"runs at {url}")
