"""The file that names a kept sandbox: for its owner, for one account, and for one kernel at a time."""

from __future__ import annotations

import multiprocessing
import os
import stat
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.kernel.host.handover import Handover
from daytona_kernel.kernel.host.kept_sandbox import KeptFile, KeptSandbox, notebook_of

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://app.daytona.io/api"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def kept(notebook: Path, url: str = URL) -> KeptSandbox:
    keeper = KeptSandbox(str(notebook))
    keeper.keep(Handover(sandbox_id="s", agent={"credentials": {"secret": "of the agent"}}), url)
    return keeper


def test_a_kernel_finds_what_the_one_before_has_kept(tmp_path: Path) -> None:
    first = kept(tmp_path / "a.ipynb")
    second = KeptSandbox(str(tmp_path / "a.ipynb"))
    assert second.find(lambda: URL) is None
    assert second.is_taken
    assert first._file is not None
    first._file.close()
    found = KeptSandbox(str(tmp_path / "a.ipynb")).find(lambda: URL)
    assert found is not None
    assert found.sandbox_id == "s"


@pytest.mark.parametrize(
    ("name", "url"), [("b.ipynb", URL), ("a.ipynb", "https://other.example/api"), ("a.ipynb", None)]
)
def test_another_notebook_or_account_finds_nothing(tmp_path: Path, name: str, url: str | None) -> None:
    kept(tmp_path / "a.ipynb")
    other = KeptSandbox(str(tmp_path / name))
    assert other.find(lambda: url) is None
    assert not other.is_taken


def test_the_file_is_for_its_owner_only(tmp_path: Path, data: Path) -> None:
    kept(tmp_path / "a.ipynb")
    for path in data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path in (data, data / "daytona-kernel")


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    file = KeptFile(str(tmp_path / "a.ipynb"), URL)
    file.path.parent.mkdir(parents=True)
    file.path.with_suffix(".lock").symlink_to(tmp_path / "elsewhere")
    assert not file.hold()
    assert not (tmp_path / "elsewhere").exists()


def _hold_and_die(notebook: str) -> None:
    assert KeptFile(notebook, URL).hold()
    os._exit(0)


def test_a_killed_kernel_holds_nothing(tmp_path: Path) -> None:
    holder = multiprocessing.get_context("fork").Process(
        target=_hold_and_die, args=[str(tmp_path / "a.ipynb")]
    )
    holder.start()
    holder.join(20)
    assert holder.exitcode == 0
    assert KeptFile(str(tmp_path / "a.ipynb"), URL).hold()


def test_a_kernel_without_a_notebook_keeps_nothing(data: Path) -> None:
    assert notebook_of({}) is None
    assert notebook_of({"JPY_SESSION_NAME": "relative.ipynb"}) is None
    keeper = KeptSandbox(None)
    keeper.keep(Handover(sandbox_id="s"), URL)
    assert not keeper.is_held
    assert not data.exists()
