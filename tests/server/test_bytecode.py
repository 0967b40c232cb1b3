"""The server compiles the packages that sandboxes see, once, and ends the process that compiles them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box import bytecode
from tests.server.conftest import eventually, processes_with, start_embedded

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = str(bytecode._PROGRAM)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with a package that has no bytecode, and a file that cannot be compiled."""
    package = tmp_path / "site-packages/package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "broken.py").write_text("x = = 1\n")
    return package


def compile_packages(stamps: Path, *directories: Path, parent: int | None = None) -> None:
    command = [sys.executable, "-I", "-S", PROGRAM, str(parent or os.getpid()), str(stamps)]
    subprocess.run([*command, *map(str, directories)], check=True)


def test_packages_are_compiled_once(package: Path, tmp_path: Path) -> None:
    stamps = tmp_path / "compiled.json"
    compile_packages(stamps, package.parent)
    compiled = list((package / "__pycache__").iterdir())
    assert [path.name.split(".")[0] for path in compiled] == ["__init__"]
    compiled[0].unlink()
    compile_packages(stamps, package.parent)
    assert not compiled[0].exists()  # the stamp said that there was nothing to do
    (package.parent / "new.py").touch()
    compile_packages(stamps, package.parent)
    assert compiled[0].exists()
    assert list(json.loads(stamps.read_text())) == [str(package.parent)]


def test_it_does_nothing_for_a_parent_that_has_ended(package: Path, tmp_path: Path) -> None:
    compile_packages(tmp_path / "compiled.json", package.parent, parent=1)
    assert not (package / "__pycache__").exists()


def test_only_directories_of_the_person_are_compiled(tmp_path: Path) -> None:
    assert bytecode._belongs_to_person(str(tmp_path))
    assert not bytecode._belongs_to_person("/usr/lib")
    assert not bytecode._belongs_to_person(str(tmp_path / "missing"))


def test_the_server_compiles_the_packages_and_ends_the_process(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    server = start_embedded({"XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": ""}, bytecode_delay=0)
    server.lease = server.take_lease()
    stamps = cache / "daytona-kernel" / f"compiled-{sys.implementation.cache_tag}.json"
    eventually(lambda: processes_with(str(stamps)) or stamps.exists(), "the packages are being compiled")
    server.end()
    eventually(lambda: not processes_with(str(stamps)), "the compiler has ended with the server")
