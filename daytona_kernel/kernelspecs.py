"""The kernelspecs of this kernel: the directories by which Jupyter knows it.

pip installs one with the package, for the Jupyter of the same environment. `install` writes others, which
name this environment's Python, so that a Jupyter in another environment can start it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import card_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAME = "daytona"
_DISPLAY_NAME = "Daytona (Python)"
_PACKAGE = "daytona_kernel"
# jupyter_client replaces these names with its own interpreter, so they need not exist.
_REPLACED = {"python", "python{}".format(*sys.version_info), "python{}.{}".format(*sys.version_info)}
_SECRET_NAME = re.compile(r".*(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)S?", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s]*@|\bdtn_\w")
_REFERENCE = re.compile(r"\$\{\w+\}")  # Jupyter replaces it with the value in its own environment


class KernelspecError(Exception):
    """A kernelspec cannot be written or removed. The message is for a person."""


@dataclass(frozen=True)
class Kernelspec:
    """A kernelspec of this kernel. directory: its place, which contains `spec` as kernel.json."""

    directory: Path
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name that Jupyter knows it by."""
        return self.directory.name

    @property
    def prefix(self) -> Path:
        """The P of P/share/jupyter/kernels/NAME."""
        return self.directory.parents[3]

    @property
    def program(self) -> str:
        """The Python that it names, as a path or a name."""
        program: str = self.spec["argv"][0]
        return program

    @property
    def python(self) -> str | None:
        """The path of the Python that it names; None for a name, as in the package's own kernelspec."""
        return self.program if "/" in self.program else None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its kernels' sandboxes, by name."""
        return card_settings.decode(self.spec.get("env") or {})

    @property
    def is_runnable(self) -> bool:
        """Whether Jupyter finds its Python."""
        return self.program in _REPLACED or shutil.which(self.program) is not None

    @property
    def is_own(self) -> bool:
        """Whether `install` of this environment wrote it, or of an environment that no longer exists."""
        return self.python is not None and (self.python == sys.executable or not self.is_runnable)


def install(
    *,
    name: str = NAME,
    display_name: str | None = None,
    env: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    user: bool = False,
    prefix: str | None = None,
) -> Kernelspec:
    """Write a kernelspec that names this environment's Python, in place of one with the same name.

    display_name: the text in Jupyter's launcher; None for one that contains `name`.
    env: variables for the kernel. settings: the settings of its sandbox, by name. Secrets are refused in
        both: other users can read the file.
    prefix: writes to PREFIX/share/jupyter/kernels; None for this environment, or for the user with `user`.

    Raises KernelspecError.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    settings = settings or {}
    for variable, value in [*(env or {}).items(), *settings.get("env", {}).items()]:
        _refuse_secret(variable, value)
    variables = {**(env or {}), **card_settings.encode(settings)}
    packaged = shipped("kernels/daytona/kernel.json")
    spec = json.loads(packaged.read_text(encoding="utf-8"))
    spec["argv"][0] = sys.executable
    spec["display_name"] = display_name or (_DISPLAY_NAME if name == NAME else f"Daytona ({name})")
    if variables:
        spec["env"] = variables
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "kernelspec"
        shutil.copytree(packaged.parent, source)
        (source / "kernel.json").write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
        manager = KernelSpecManager()
        manager.log.disabled = True  # it warns about a --prefix of another environment, which is the purpose
        try:
            written = manager.install_kernel_spec(
                str(source), kernel_name=name, user=user, prefix=prefix or (None if user else sys.prefix)
            )
        except (OSError, ValueError) as error:
            raise KernelspecError(f"Cannot install the kernelspec: {error}") from None
    return Kernelspec(Path(written), spec)


def find(prefixes: Iterable[str | Path] = ()) -> list[Kernelspec]:
    """Return the kernelspecs of this kernel where Jupyter looks for them, and below more prefixes."""
    from jupyter_core.paths import jupyter_path

    below = (str(Path(prefix).absolute() / "share/jupyter/kernels") for prefix in prefixes)
    directories = dict.fromkeys([*jupyter_path("kernels"), *below])
    return [spec for directory in directories for spec in _read(Path(directory))]


def remove(kernelspec: Kernelspec) -> None:
    """Delete a kernelspec. Raises KernelspecError."""
    try:
        if kernelspec.directory.is_symlink():
            kernelspec.directory.unlink()
        else:
            shutil.rmtree(kernelspec.directory)
    except OSError as error:
        raise KernelspecError(f"Cannot remove the kernelspec: {error}") from None


def shipped(ending: str) -> Path:
    """Return the path of a data file of the distribution.

    ending: the end of its path. Raises KernelspecError if no installed file ends with it.
    """
    for file in metadata.files("daytona-kernel") or ():
        if file.as_posix().endswith(ending):
            return Path(str(file.locate())).resolve()
    raise KernelspecError(
        f"This installation of daytona-kernel does not contain {ending}. Reinstall it with pip."
    )


def _read(directory: Path) -> Iterator[Kernelspec]:
    for file in sorted(directory.glob("*/kernel.json")):
        try:
            spec = json.loads(file.read_text(encoding="utf-8"))
            is_ours = _PACKAGE in spec["argv"] and isinstance(spec["argv"][0], str)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # Jupyter ignores it as well
        if is_ours:
            yield Kernelspec(file.parent, spec)


def _refuse_secret(variable: str, value: str) -> None:
    named = _SECRET_NAME.fullmatch(variable) and not _REFERENCE.fullmatch(value)
    if named or _SECRET_VALUE.search(value):
        raise KernelspecError(
            f"{variable} looks like a secret, and a kernelspec is a file that others can read. Nothing was "
            "installed. Set the variable where Jupyter runs: its kernels inherit it."
        )
