"""A sandbox's Python environment, made without `venv`, in a millisecond.

It differs from one that `venv` makes in two ways. It also has the packages of the server's environment;
packages that `pip` installs in the sandbox take precedence. Its `pip` uses the server's copy of pip, or
the one that comes with Python.
"""

from __future__ import annotations

import ensurepip
import shutil
import sys
import sysconfig
from pathlib import Path

from .settings_files import write_settings

CHARTS_BACKEND = "_daytona_kernel_charts"
_CHARTS = Path(__file__).parent.parent / "inside" / "charts_backend.py"
PIP = """#!{python}
import runpy
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def base_python() -> str:
    """Return the Python from which the server's environment was made."""
    return getattr(sys, "_base_executable", None) or sys.executable


def seen_directories() -> list[str]:
    """Return the directories of installed packages in the server's import path, in the same order."""
    names = {"site-packages", "dist-packages"}
    return [entry for entry in dict.fromkeys(sys.path) if Path(entry).name in names and Path(entry).is_dir()]


def make_python_environment(directory: Path, seen_as: str, *, isolated: bool) -> None:
    """Make the environment in the new `directory`. The sandbox sees it as the path `seen_as`.

    `isolated` leaves out settings that name directories of this machine.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # The scheme is named, because Debian's default scheme differs from that of a venv.
    scheme = {"base": str(directory), "platbase": str(directory)}
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    bin_directory = directory / "bin"
    packages.mkdir(parents=True)
    bin_directory.mkdir()
    python = base_python()
    for name in ("python", "python3", f"python{version}"):
        (bin_directory / name).symlink_to(python)
    (directory / "pyvenv.cfg").write_text(
        f"home = {Path(python).parent}\n"
        "include-system-site-packages = false\n"
        f"version = {sys.version.split()[0]}\n"
    )
    lines = [f"import site; site.addsitedir({entry!r})" for entry in seen_directories()]
    if not any((Path(entry) / "pip").is_dir() for entry in seen_directories()):
        lines += [str(wheel) for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")]
    (packages / "_daytona_kernel_seen.pth").write_text("\n".join(lines) + "\n")
    write_settings(str(directory), isolated=isolated)
    shutil.copyfile(_CHARTS, packages / f"{CHARTS_BACKEND}.py")
    for name in ("pip", "pip3"):
        program = bin_directory / name
        program.write_text(PIP.format(python=f"{seen_as}/bin/python"))
        program.chmod(0o755)


def make_image_settings(directory: Path) -> None:
    """Write into the new `directory` what a sandbox on an image gets besides the image's own Python."""
    write_settings(str(directory), isolated=True)
    shutil.copyfile(_CHARTS, directory / f"{CHARTS_BACKEND}.py")
