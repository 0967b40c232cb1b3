"""A notebook's folder with Python files that imitate every module of a kernel. None of them is imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from tests.kernel.driver import running_kernel
from tests.served import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

_ENDS = 120.0  # seconds
_HOSTILE = """
import sys
with open({canary!r}, "a") as file:
    file.write(f"{{__name__}} in {{sys.argv}}\\n")
raise ImportError("hostile")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a hostile file for each module that this Python could import."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    code = _HOSTILE.format(canary=str(tmp_path / "imported"))
    for name in {
        *sys.stdlib_module_names,
        *metadata.packages_distributions(),
        "sitecustomize",
        "usercustomize",
    }:
        if "/" not in name:
            (folder / f"{name}.py").write_text(code)
    for name in ("tornado", "zmq", "email", "daytona_kernel"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
    return folder


def imported(folder: Path) -> str:
    file = folder.with_name("imported")
    return file.read_text() if file.exists() else ""


def test_a_folder_of_such_files_is_hostile(folder: Path) -> None:
    """The files work: an interpreter that has the folder on its path imports them."""
    subprocess.run([sys.executable, "-c", "import json"], cwd=folder, stderr=subprocess.DEVNULL, check=False)
    assert "json" in imported(folder)


@pytest.mark.kernel
def test_a_kernel_imports_none_of_them(folder: Path) -> None:
    with running_kernel(cwd=folder) as kernel:
        assert kernel.run("import json; json.dumps([6 * 7])").result == "'[42]'"
        assert kernel.run("%sh echo from the shell").stdout == "from the shell\n"
    assert imported(folder) == ""


@pytest.fixture
def old_kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernelspec as earlier versions installed it: without `-P`."""
    spec = KernelSpecManager().get_kernel_spec("daytona").to_dict()
    argv = [sys.executable, *(word for word in spec["argv"][1:] if word != "-P")]
    directory = tmp_path / "share" / "kernels" / "old-daytona"
    directory.mkdir(parents=True)
    (directory / "kernel.json").write_text(json.dumps(spec | {"argv": argv}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    return "old-daytona"


@pytest.mark.kernel
def test_a_kernelspec_of_an_earlier_version_imports_nothing_once_the_kernel_runs(
    folder: Path, old_kernelspec: str
) -> None:
    # Python itself finds the package, and the modules with which it finds packages, before the package runs.
    probe = "import importlib.util, runpy, sys; print(*sys.modules)"
    own = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    for name in {*own.split(), "daytona_kernel"}:
        (folder / f"{name}.py").unlink(missing_ok=True)
    for file in (folder / "daytona_kernel").iterdir():
        file.unlink()
    (folder / "daytona_kernel").rmdir()
    with running_kernel(old_kernelspec, cwd=folder) as kernel:
        assert kernel.run("6 * 7").result == "42"
    assert imported(folder) == ""


@pytest.mark.kernel
def test_a_relative_entry_of_pythonpath_reaches_neither_the_kernel_nor_its_server(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    code = _HOSTILE.format(canary=str(tmp_path / "imported"))
    for name in ("json", "comm", "tornado", "httpx", "zmq", "__future__"):
        (folder / f"{name}.py").write_text(code)
    with running_kernel(cwd=folder, PYTHONPATH=f".{os.pathsep}") as kernel:
        assert kernel.run("6 * 7").result == "42"
    assert imported(folder) == ""


def test_doctor_imports_none_of_them_and_names_an_old_kernelspec(folder: Path, old_kernelspec: str) -> None:
    done = subprocess.run(
        [COMMAND, "doctor"], cwd=folder, capture_output=True, text=True, timeout=_ENDS, check=False
    )
    assert "Created a sandbox" in done.stdout, done.stdout + done.stderr
    (old,) = [line for line in done.stdout.splitlines() if old_kernelspec in line]
    assert old.startswith("WRONG")
    assert "earlier version" in old
    assert imported(folder) == ""


@pytest.mark.kernel
def test_the_demo_imports_none_of_them(folder: Path) -> None:
    cell: dict[str, object] = {
        "cell_type": "code",
        "source": "import json; print(6 * 7)",
        "metadata": {},
        "outputs": [],
    }
    cell |= {"execution_count": None, "id": "a"}
    (folder / "demo.ipynb").write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    command = [COMMAND, "demo", "demo.ipynb", "--output", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_ENDS, check=False)
    assert "42" in done.stdout, done.stdout + done.stderr
    assert imported(folder) == ""


def test_serve_imports_none_of_them(folder: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "serve"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        exports = dict(
            server.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(2)
        )
        code = "from daytona_kernel import Daytona; print(Daytona().create().process.exec('echo 42').result)"
        python = [sys.executable, "-P", "-c", code]
        done = subprocess.run(
            python,
            env=os.environ | exports,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_ENDS,
            check=False,
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(_ENDS) == 0
    assert done.stdout.strip() == "42", done.stderr
    assert imported(folder) == ""
