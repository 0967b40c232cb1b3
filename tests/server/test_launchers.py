"""The scripts of the packages that pip calls installed start, with the sandbox's Python."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from tests.server.test_python_environment import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.fixture(params=["toolbox", "open_toolbox"])
def either(request: pytest.FixtureRequest) -> Toolbox:
    """A sandbox with the isolation that works here, and one without any."""
    toolbox: Toolbox = request.getfixturevalue(request.param)
    return toolbox


def installed(name: str) -> None:
    if not entry_points(group="console_scripts", name=name):
        pytest.skip(f"no package of this environment has the script {name}")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("pytest", "pytest --version"),
        ("ipython", "ipython -c 'import sys; print(sys.prefix)' | grep -Fx $VIRTUAL_ENV"),
        ("jupyter", "jupyter kernelspec list"),
        ("f2py", "f2py -v"),
    ],
)
def test_the_scripts_of_seen_packages_start(either: Toolbox, name: str, command: str) -> None:
    installed(name)
    result = either.execute(command)
    assert result["exitCode"] == 0, result


def test_nbconvert_finds_its_templates(either: Toolbox) -> None:
    installed("jupyter-nbconvert")
    notebook = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    result = either.execute(f"echo '{notebook}' > empty.ipynb; jupyter nbconvert --to html empty.ipynb")
    assert result["exitCode"] == 0, result


def test_a_script_of_an_upgrade_is_in_front_until_the_upgrade_is_removed(
    either: Toolbox, tmp_path: Path
) -> None:
    installed("pygmentize")
    assert "Pygments version" in either.execute("pygmentize -V")["result"]
    wheel = make_wheel(tmp_path, "pygments", "99.0", "pygmentize")
    either.post(
        "/files/upload", params={"path": wheel.name}, files={"file": (wheel.name, wheel.read_bytes())}
    )
    done = either.execute(f"pip install --no-index --no-deps -q ./{wheel.name}")
    assert done["exitCode"] == 0, done
    assert either.execute("pygmentize")["result"] == "99.0\n"
    either.execute("pip uninstall -y -q pygments")
    assert "Pygments version" in either.execute("pygmentize -V")["result"]


def test_pip_starts_after_an_upgrade_of_it_was_removed(either: Toolbox) -> None:
    either.execute("rm $VIRTUAL_ENV/bin/pip $VIRTUAL_ENV/bin/pip3")  # as `pip uninstall pip` does
    for name in ("pip", "pip3"):
        result = either.execute(f"{name} --version")
        assert result["exitCode"] == 0, result
        assert f"python {sys.version_info.major}.{sys.version_info.minor}" in result["result"]


def test_a_launcher_cannot_be_changed_from_inside(server: EmbeddedServer, toolbox: Toolbox) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    assert toolbox.execute("echo > /opt/programs/pip")["exitCode"] != 0
    assert toolbox.execute("touch /opt/programs/new")["exitCode"] != 0


def test_an_installer_of_system_packages_says_why_not(server: EmbeddedServer, toolbox: Toolbox) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    if shutil.which("apt-get") is None:
        pytest.skip("this machine has no apt-get")
    result = toolbox.execute("apt-get install -y hello")
    assert result["exitCode"] == 100
    assert result["result"].startswith("apt-get: nothing was changed, because a sandbox on this machine sees")
    assert "apt " in toolbox.execute("apt-get --version")["result"]
    assert "no administrator" in toolbox.execute("sudo true")["result"]


def test_the_next_python_on_the_path_is_the_one_of_the_server(either: Toolbox) -> None:
    """Uv makes its environments from the first Python that is not one of a virtual environment."""
    code = "import sys; print(sys.prefix == sys.base_prefix, sys.version_info[:2], flush=True)"
    found = either.execute(f'$(which -a python3 | sed -n 2p) -c "{code}"')["result"]
    assert found == f"True {sys.version_info[:2]}\n"
