"""The root file systems of the tests: made once, kept in the person's cache directory, shared by all workers.

Debian's are made by mmdebstrap, and the others from Debian's or from a Python of this machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.small_root import copy_with_libraries, make_small_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FORMAT = 1  # count up when the same name means another image
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daytona-kernel-tests"
_INCLUDED = "--include=python3,python3-pip,python3-venv,ca-certificates"
_MMDEBSTRAP_SECONDS = 700
_LIBC_PARTS = (
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)


class MissingImageError(Exception):
    """The image cannot be made here; the message says what is missing."""


def image(name: str) -> Path:
    """Return the directory of an image. Raises MissingImageError."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    directory = _CACHE / f"{name}-{_FORMAT}"
    with _locked(_CACHE / f"{name}.lock"):
        if not directory.exists():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=_CACHE) as new:
                root = Path(new) / "root"
                MAKERS[name](root)
                root.rename(directory)
    return directory


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], seconds: float, failure: str) -> None:
    """Run a program that makes a part of an image. Raises MissingImageError with `failure` and the reason."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MissingImageError(f"{failure}: {reason}")


def _debian(suite: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        if shutil.which("mmdebstrap") is None:
            raise MissingImageError("mmdebstrap is not installed (sudo apt install mmdebstrap uidmap)")
        archive = root.with_name("root.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", _INCLUDED]
        command += ['--aptopt=Acquire::Check-Valid-Until "false"', suite, str(archive)]
        _run(command, _MMDEBSTRAP_SECONDS, f"mmdebstrap cannot make Debian {suite} here")
        root.mkdir(mode=0o755)
        subprocess.run(
            ["/bin/tar", "-x", "--no-same-owner", "--exclude=./dev/*", "-f", archive, "-C", root], check=True
        )
        archive.unlink()

    return make


def _from(name: str, change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a maker that copies an image by hard links, and then removes from or adds to it."""

    def make(root: Path) -> None:
        subprocess.run(["/bin/cp", "--archive", "--link", image(name), root], check=True)
        change(root)

    return make


def _without_pip(root: Path) -> None:
    for pattern in ("usr/bin/pip*", "usr/lib/python3/dist-packages/pip*", "usr/lib/python3*/ensurepip"):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _with_a_venv(root: Path) -> None:
    """Put a venv in front of Debian's Python, as images have it whose Python is externally managed."""
    (python,) = (root / "usr/bin").glob("python3.[0-9]*[0-9]")
    venv = root / "opt/venv"
    packages = venv / "lib" / python.name / "site-packages"
    packages.mkdir(parents=True)
    (venv / "bin").mkdir()
    for name in ("python", "python3"):
        (venv / "bin" / name).symlink_to(f"/usr/bin/{python.name}")
    version = python.name.removeprefix("python")
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")
    shutil.copytree(root / "usr/lib/python3/dist-packages/pip", packages / "pip")
    environment = root / "etc/environment"
    environment.unlink(missing_ok=True)
    environment.write_text("PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin\nVIRTUAL_ENV=/opt/venv\n")


# What the notebooks of tests/differential import.
_LIBRARIES = (
    *("ipykernel", "ipywidgets", "anywidget", "nbformat", "tqdm", "numpy", "pandas", "pyarrow", "sympy"),
    *("matplotlib", "ipympl", "pillow", "plotly", "altair", "bokeh"),
)
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_LIBRARIES_SECONDS = 900


def _with_libraries(root: Path) -> None:
    """Add libraries in the versions that the tests use here, from the package index."""
    (packages,) = (root / "usr/local/lib").glob("python3.*/dist-packages")
    version = packages.parent.name.removeprefix("python")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(packages)]
    command += ["--constraint", str(_CONSTRAINTS), "--python-version", version]
    command += ["--only-binary=:all:", "--implementation=cp"]
    command += [f"--platform=manylinux_2_{libc}_{os.uname().machine}" for libc in (28, 27, 17)]
    _run([*command, *_LIBRARIES], _LIBRARIES_SECONDS, "pip cannot load the libraries")


def _python(version: str) -> Callable[[Path], None]:
    """Return a maker of a small root with a Python of this machine, such as pyenv installs it."""

    def make(root: Path) -> None:
        prefix = _prefix_of(version)
        make_small_root(root)
        copied = root / "opt/python"
        unused = shutil.ignore_patterns(
            "test", "tests", "idlelib", "tkinter", "__pycache__", "*.a", "config-*", "share"
        )
        shutil.copytree(prefix, copied, symlinks=True, ignore=unused)
        for each in (copied / f"lib/python{version}/site-packages").iterdir():
            if not each.name.startswith(("pip", "setuptools")):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        modules = list((prefix / f"lib/python{version}/lib-dynload").glob("*.so"))
        # Wheels link to parts of the C library that are empty since they are in libc itself.
        parts = [path for name in _LIBC_PARTS if (path := _library(name)) is not None]
        copy_with_libraries(root, parts, needed_by=[prefix / f"bin/python{version}", *modules])
        (root / "etc/environment").write_text("PATH=/opt/python/bin:/usr/bin:/bin\n")
        certificates = Path("/etc/ssl/certs/ca-certificates.crt")
        if certificates.exists():
            (root / "etc/ssl/certs").mkdir(parents=True)
            shutil.copy(certificates, root / "etc/ssl/certs")

    return make


def _library(name: str) -> Path | None:
    found = sorted(Path("/usr/lib").glob(f"*/{name}"))
    return found[0] if found else None


def _prefix_of(version: str) -> Path:
    """Return the prefix of a Python of this machine that can be copied. Raises MissingImageError."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    if not found:
        raise MissingImageError(f"pyenv has no Python {version} here")
    return found[-1].parent.parent


WITH_LIBRARIES = "forky-libraries"  # half a gigabyte more
MAKERS: dict[str, Callable[[Path], None]] = {
    "small": make_small_root,  # without Python
    "forky": _debian("forky"),
    WITH_LIBRARIES: _from("forky", _with_libraries),
    "trixie": _debian("trixie"),
    "trixie-without-pip": _from("trixie", _without_pip),
    "trixie-venv": _from("trixie", _with_a_venv),
    "python3.10": _python("3.10"),
    "python3.9": _python("3.9"),
}
