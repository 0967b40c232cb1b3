"""A private Python environment, made by hand in a millisecond.

It is what `venv` would make, and two things more: it sees the packages of the environment that
the server runs in, after its own, so that what `pip` installs in the sandbox comes first; and
its `pip` works although no copy of pip is installed in it.
"""

from __future__ import annotations

import ensurepip
import os
import shutil
import sys
import sysconfig
from pathlib import Path

CHARTS_BACKEND = "_daytona_kernel_charts"
_CHARTS = Path(__file__).parent.parent / "inside" / "charts_backend.py"
_PIP = """#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def base_python() -> str:
    """Return the interpreter that the server's environment was made from."""
    return getattr(sys, "_base_executable", None) or sys.executable


def seen_directories() -> list[str]:
    """Return the directories of installed packages on the server's own path, in its order."""
    names = {"site-packages", "dist-packages"}
    return [entry for entry in dict.fromkeys(sys.path) if Path(entry).name in names and Path(entry).is_dir()]


def make_python_environment(directory: Path, seen_as: str) -> None:
    """Make the environment in the new `directory`, which the sandbox sees as the path `seen_as`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # The scheme is asked, not assumed: Debian's own differs from what a venv uses.
    scheme = {"base": str(directory), "platbase": str(directory)}
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    bin_directory = directory / "bin"
    packages.mkdir(parents=True)
    bin_directory.mkdir()
    python = base_python()
    for name in ("python", "python3", f"python{version}"):
        (bin_directory / name).symlink_to(python)
    (directory / "pyvenv.cfg").write_text(
        f"home = {os.path.dirname(python)}\n"
        "include-system-site-packages = false\n"
        f"version = {sys.version.split()[0]}\n"
    )
    lines = [f"import site; site.addsitedir({entry!r})" for entry in seen_directories()]
    if not any((Path(entry) / "pip").is_dir() for entry in seen_directories()):
        lines += [str(wheel) for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")]
    (packages / "_daytona_kernel_seen.pth").write_text("\n".join(lines) + "\n")
    shutil.copyfile(_CHARTS, packages / f"{CHARTS_BACKEND}.py")
    for name in ("pip", "pip3"):
        program = bin_directory / name
        program.write_text(_PIP.format(python=f"{seen_as}/bin/python"))
        program.chmod(0o755)
