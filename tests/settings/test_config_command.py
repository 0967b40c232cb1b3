"""`daytona-kernel config`: the settings in force, and changes of the user's file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.cli import main

if TYPE_CHECKING:
    from .conftest import Places


@pytest.fixture
def config(places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `daytona-kernel config` in this process."""
    for name, value in places.environ.items():
        monkeypatch.setenv(name, value)
    return Run(capsys)


class Run:
    """`daytona-kernel config`, run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """Run it with success, and return what it prints."""
        assert main(["config", *arguments]) == 0
        return self._capsys.readouterr().out

    def fails(self, *arguments: str) -> str:
        """Run it without success, and return the one line that it prints."""
        assert main(["config", *arguments]) == 1
        printed = self._capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err


def test_settings_are_set_shown_and_unset(
    config: Run, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config("path") == f"{places.file}\n"
    config("set", "cpu", "4")
    config("set", "packages", "numpy", "pandas>=2, <3")
    config("set", "env", "TOKEN=hunter2", "STAGE=test")
    config("set", "outputs", "safe")
    assert json.loads(places.file.read_text()) == {
        "cpu": 4,
        "packages": ["numpy", "pandas>=2, <3"],
        "env": {"TOKEN": "hunter2", "STAGE": "test"},
        "outputs": "safe",
    }
    assert places.file.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("DAYTONA_SANDBOX_CPU", "8")
    rows = [line.split() for line in config().splitlines()]
    assert ["cpu", "8", "DAYTONA_SANDBOX_CPU"] in rows
    assert ["env", "TOKEN,", "STAGE", "user's", "file"] in rows
    config("unset", "env")
    assert "hunter2" not in places.file.read_text()


def test_the_password_in_a_url_is_not_shown(config: Run) -> None:
    for shown in (config("set", "api_url", "https://someone:hunter2@h/api"), config()):
        assert "https://h/api" in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "cpu", "many"], "cpu takes a number of cores, 1 or more. Nothing was changed."),
        (["set", "cpu", "1", "2"], "cpu takes a number of cores"),
        (["set", "cpus", "1"], "there is no setting 'cpus'; there is 'cpu'"),
        (["set", "api_key", "dtn_0123456789abcdef"], "api_key is never taken from here"),
        (["set", "env", "NAME"], "env takes NAME=VALUE"),
        (["unset", "cpu"], "There is no cpu in"),
    ],
)
def test_a_wrong_change_is_one_line_and_changes_nothing(
    config: Run, places: Places, arguments: list[str], words: str
) -> None:
    assert words in config.fails(*arguments)
    assert not places.file.exists()


def test_a_mistake_in_the_file_can_be_shown_and_mended(config: Run, places: Places) -> None:
    places.file.write_text('{\n "cpu": "many",\n "memory": 2\n}')
    assert f"{places.file}, line 2: cpu takes" in config.fails()
    config("set", "cpu", "2")
    assert "memory" in config()
    config("unset", "memory")
    places.file.write_text("{")
    for arguments in (["set", "cpu", "2"], ["unset", "cpu"], ["show"]):
        assert "line 1: this is not JSON" in config.fails(*arguments)
    assert places.file.read_text() == "{"


def test_what_cannot_be_written_is_one_line(config: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", "/proc/self/nowhere")
    assert "The file of your settings cannot be changed" in config.fails("set", "cpu", "2")
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")
    assert "JUPYTER_NO_CONFIG is set" in config.fails("path")
