"""The wheel and the source distribution, built as a release builds them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from daytona_kernel import __version__

ROOT = Path(__file__).parent.parent
HOME = "https://example.org/somebody/daytona-kernel"
_LINK = re.compile(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"")

pytestmark = pytest.mark.slow


def build(directory: Path, repository: str) -> tuple[zipfile.ZipFile, list[str]]:
    """Build a copy of the checkout; return the wheel and the names in the source distribution."""
    source = directory / "source"
    ignored = shutil.ignore_patterns(".*", "node_modules", "build", "dist", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    project = source / "pyproject.toml"
    text, count = re.subn(r'(?m)^repository = ".*"$', f'repository = "{repository}"', project.read_text())
    assert count == 1
    project.write_text(text)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(directory / "dist")]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (directory / "dist").glob("*.whl")
    (archive,) = (directory / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as names:
        return zipfile.ZipFile(wheel), [name.partition("/")[2] for name in names.getnames()]


def test_the_page_on_the_index_has_absolute_links_and_addresses(tmp_path: Path) -> None:
    wheel, _ = build(tmp_path, HOME)
    about = Parser().parsestr(wheel.read(f"daytona_kernel-{__version__}.dist-info/METADATA").decode())
    addresses = dict(value.split(", ", 1) for value in about.get_all("Project-URL", []))
    assert addresses["Source"] == HOME
    assert addresses["Issues"] == f"{HOME}/issues"
    assert addresses["Changelog"] == f"{HOME}/blob/v{__version__}/CHANGELOG.md"
    links = [link or source for link, source in _LINK.findall(str(about.get_payload()))]
    assert f"{HOME}/blob/v{__version__}/docs/magics.md" in links
    assert f"{HOME}/raw/v{__version__}/docs/images/quickstart.png" in links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_without_an_address_the_page_is_readme_itself(tmp_path: Path) -> None:
    wheel, source = build(tmp_path, "")
    about = Parser().parsestr(wheel.read(f"daytona_kernel-{__version__}.dist-info/METADATA").decode())
    assert str(about.get_payload()).strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    names = wheel.namelist()
    assert any(name.endswith("share/jupyter/kernels/daytona/kernel.json") for name in names)
    assert any(name.endswith("share/daytona-kernel/quickstart.ipynb") for name in names)
    assert not [name for name in names if name.startswith(("tests", "tools"))]
    assert {"hatch_build.py", "tests/test_package.py", "docs/howto.md", "LICENSE"} <= set(source)
