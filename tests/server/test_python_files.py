"""A sandbox sees Python and its packages, and not the folders around them."""

from __future__ import annotations

import shlex
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import daytona_kernel
from daytona_kernel.server.box.named_files import shown_files
from daytona_kernel.server.box.python_files import python_mounts

if TYPE_CHECKING:
    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, which has secrets too. The person's home is elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    for name in (
        ".env",
        ".git/config",
        "setup.py",
        "package/__init__.py",
        "package/data/table.csv",
        "namespace/inner/__init__.py",
        "data/secrets.csv",
        "package.egg-info/PKG-INFO",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    return project


def shown_in(directory: Path) -> set[str]:
    """Return the parts of `directory` that are mounted."""
    found = map(Path, python_mounts())
    return {str(path.relative_to(directory)) for path in found if path.is_relative_to(directory)}


def test_an_editable_install_by_path_shows_its_packages(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", str(project)])
    assert shown_in(project) == {"package", "namespace", "package.egg-info"}


def test_a_directory_of_modules_is_not_a_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = project / "src"
    (source / "package").mkdir(parents=True)
    for name in (
        "module.py",
        "fast.cpython-311.so",
        "package/__init__.py",
        "notes.txt",
        ".env",
    ):
        (source / name).touch()
    monkeypatch.setattr(sys, "path", ["", str(source)])
    assert shown_in(source) == {"module.py", "fast.cpython-311.so", "package"}


def test_an_editable_install_of_setuptools_shows_its_packages(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = types.ModuleType("__editable___package_finder")
    (project / "single.py").touch()
    finder.MAPPING = {  # type: ignore[attr-defined]  # as setuptools writes it
        "package": str(project / "package"),
        "single": str(project / "single"),
    }
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, type("F", (), {"__module__": finder.__name__})])
    assert shown_in(project) == {"package", "single.py"}


def test_a_venv_in_a_projects_folder_shows_its_own_parts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "lib/python3/site-packages").mkdir(parents=True)
    (project / "bin").mkdir()
    (project / "lib64").symlink_to("lib")
    (project / "pyvenv.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(project))
    monkeypatch.setattr(sys, "exec_prefix", str(project))
    assert shown_in(project) == {"bin", "lib", "lib64", "pyvenv.cfg"}


def test_an_executable_is_shown_with_the_links_to_it_and_not_its_neighbors(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = project / "scripts"
    scripts.mkdir()
    (scripts / "python3").symlink_to("python3.11")
    (scripts / "python3.11").symlink_to(project / "real")
    for path in (scripts / "private", project / "real"):
        path.touch()
    monkeypatch.setattr(sys, "_base_executable", str(scripts / "python3"))
    assert shown_in(project) == {"scripts/python3", "scripts/python3.11", "real"}


def test_pythonpath_is_not_shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", str(project)])
    monkeypatch.setenv("PYTHONPATH", str(project))
    assert shown_in(project) == set()


def test_a_sandbox_imports_from_a_checkout_and_does_not_see_the_rest_of_it(
    server: EmbeddedServer, toolbox: Toolbox
) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    package = Path(daytona_kernel.__file__).parent
    imported = toolbox.execute("python -c 'import daytona_kernel as d, sys; print(d.__file__, end=str())'")
    assert imported["result"] == daytona_kernel.__file__
    for name in (".git", "pyproject.toml", ".env", "README.md", "notebooks"):
        hidden = shlex.quote(str(package.parent / name))
        assert toolbox.execute(f"test -e {hidden}")["exitCode"] == 1, name


CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n"


def test_of_a_named_directory_only_certificates_are_shown(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key.pem").write_text(KEY)
    (tmp_path / "a.pem").write_text(CERTIFICATE)
    (tmp_path / "both.pem").write_text(CERTIFICATE + KEY)
    (tmp_path / "notes").write_text("x")
    assert shown_files([("SSL_CERT_DIR", str(tmp_path))]) == [str(tmp_path / "a.pem")]
    assert shown_files([("SSL_CERT_FILE", str(tmp_path / "both.pem"))]) == []
    assert shown_files([("PIP_CERT", str(tmp_path / "a.pem"))]) == [str(tmp_path / "a.pem")]
    assert shown_files([("PIP_CERT", str(tmp_path / "missing.pem"))]) == []


def test_of_a_named_directory_only_wheels_are_shown(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-1.0-py3-none-any.whl").touch()
    (wheels / "b-1.0.tar.gz").touch()
    setting = [("PIP_FIND_LINKS", f"https://example.invalid/links file://{wheels}")]
    assert shown_files(setting) == [str(wheels)]
    (wheels / ".env").touch()
    assert shown_files(setting) == [f"{wheels}/a-1.0-py3-none-any.whl", f"{wheels}/b-1.0.tar.gz"]


def test_a_file_of_constraints_is_shown_unless_it_holds_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("numpy<2\n")
    assert shown_files([("PIP_CONSTRAINT", str(file))]) == [str(file)]
    file.write_text("--index-url https://user:password@example.invalid/simple\nnumpy<2\n")
    assert shown_files([("PIP_CONSTRAINT", str(file))]) == []
