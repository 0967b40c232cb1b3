"""The sandbox's Python has the packages of the kernel's environment, and those that pip installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box.python_environment import make_python_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Toolbox


def make_wheel(directory: Path, name: str, version: str, script: str = "") -> Path:
    """Make a wheel of a module that has its version, and of a `script` that prints it."""
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\ndef main(): print(version)\n")
        if script:
            wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{script} = {name}:main\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.parametrize("which", ["toolbox", "open_toolbox"])
def test_every_way_to_run_python_runs_the_same_one(which: str, request: pytest.FixtureRequest) -> None:
    toolbox: Toolbox = request.getfixturevalue(which)
    print_prefix = "import sys; print(sys.prefix)"
    prefix = toolbox.execute("echo $VIRTUAL_ENV")["result"]
    assert toolbox.execute(f"python -c '{print_prefix}'")["result"] == prefix
    assert toolbox.execute(f"python3 -c '{print_prefix}'")["result"] == prefix
    code_run = toolbox.post("/process/code-run", json={"code": print_prefix, "language": "python"})
    assert code_run.json()["result"] == prefix
    assert toolbox.execute("command -v python pip")["result"].split() == [
        f"{prefix.strip()}/bin/python",
        f"{prefix.strip()}/bin/pip",
    ]


@pytest.mark.parametrize("which", ["toolbox", "open_toolbox"])
def test_it_has_the_kernels_packages_and_pip_installs_into_it(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    toolbox: Toolbox = request.getfixturevalue(which)
    seen = toolbox.execute("python -c 'import ipykernel, daytona_kernel; print(ipykernel.__version__)'")
    assert seen["exitCode"] == 0, seen
    for version in ("1.0", "2.0"):
        wheel = make_wheel(tmp_path, "madeup_package", version)
        files = {"file": (wheel.name, wheel.read_bytes())}
        assert toolbox.post("/files/upload", params={"path": wheel.name}, files=files).status_code == 200
        pip = "pip" if version == "1.0" else "python -m pip"
        installed = toolbox.execute(f"{pip} install --no-index --no-deps -q ./{wheel.name}")
        assert installed["exitCode"] == 0, installed["result"]
        shown = toolbox.execute("python -c 'import madeup_package as m; print(m.version, m.__file__)'")[
            "result"
        ]
        assert shown.startswith(f"{version} ")
        assert toolbox.execute("echo -n $VIRTUAL_ENV")["result"] in shown
    assert "madeup_package" not in subprocess.run(
        [sys.executable, "-m", "pip", "list", "--no-index"], capture_output=True, text=True, check=False
    ).stdout.replace("-", "_")


def test_an_installed_package_takes_precedence_over_the_kernels(toolbox: Toolbox, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pygments", "99.0")
    files = {"file": (wheel.name, wheel.read_bytes())}
    toolbox.post("/files/upload", params={"path": wheel.name}, files=files)
    installed = toolbox.execute(f"pip install --no-index --no-deps -q ./{wheel.name}")
    assert installed["exitCode"] == 0, installed["result"]
    assert toolbox.execute("python -c 'import pygments; print(pygments.version)'")["result"] == "99.0\n"
    toolbox.execute("pip uninstall -y -q pygments")
    again = toolbox.execute("python -c 'import pygments; print(pygments.__version__)'")
    assert (again["exitCode"], again["result"] != "99.0\n") == (0, True)


def test_an_environment_made_from_inside_another(tmp_path: Path) -> None:
    """The server itself may run in such an environment, or in a venv made from one."""
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    make_python_environment(outer, str(outer), isolated=False)
    code = (
        "import sys; from pathlib import Path; "
        "from daytona_kernel.server.box.python_environment import make_python_environment as make; "
        f"make(Path({str(inner)!r}), {str(inner)!r}, isolated=False)"
    )
    subprocess.run([outer / "bin" / "python", "-c", code], check=True)
    done = subprocess.run(
        [inner / "bin" / "python", "-c", "import ipykernel, tornado, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(inner)
