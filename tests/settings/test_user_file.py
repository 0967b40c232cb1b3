"""The user's file: where it is, what is wrong in it and where, and how it is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.errors import SettingError
from daytona_kernel.settings import user_file

if TYPE_CHECKING:
    from .conftest import Places

_ASK_JUPYTER = "import jupyter_core.paths as p; print(p.jupyter_config_dir())"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"JUPYTER_CONFIG_DIR": "/somewhere/else"},
        {"JUPYTER_PLATFORM_DIRS": "1"},
        {"JUPYTER_PLATFORM_DIRS": "1", "XDG_CONFIG_HOME": "/config"},
        {"JUPYTER_PLATFORM_DIRS": "false", "XDG_CONFIG_HOME": "/config"},
    ],
)
def test_the_file_is_in_the_directory_that_jupyter_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_JUPYTER],
        env={"HOME": str(tmp_path), "PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert user_file.path(variables) == Path(asked.stdout.strip()) / user_file.NAME


def test_without_configuration_there_is_no_file() -> None:
    assert user_file.path({"JUPYTER_NO_CONFIG": "1", "JUPYTER_CONFIG_DIR": "/x"}) is None
    assert user_file.read(None) == {}


def test_no_file_is_no_settings(places: Places) -> None:
    assert user_file.read(places.file) == {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{\n  "cpu": 4,\n  "image": \n}', 4, "this is not JSON"),
        ("[1]", 1, "this is not a JSON object"),
        (
            '{\n "env": {"cpu": "1"},\n "cpu": "many"\n}',
            3,
            "cpu takes a number of cores, 1 or more, not 'many'",
        ),
        ('{\n\n "cpus": 4}', 3, "there is no setting 'cpus'; there is 'cpu'"),
        ('{\n "memory": 1, "\\u0063pu": 0}', 2, "not 0"),
        ('{"env": {"A B": "secret"}}', 1, "env takes NAME=VALUE"),
        (
            '{\n "api_key": "dtn_0123456789abcdef"}',
            2,
            "api_key is never taken from here, only from: environment",
        ),
        ("[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(
    places: Places, text: str, line: int, words: str
) -> None:
    places.file.write_text(text)
    with pytest.raises(SettingError) as caught:
        user_file.read(places.file)
    assert caught.value.message.startswith(f"{places.file}, line {line}: ")
    assert words in caught.value.message
    assert "secret" not in caught.value.message
    assert "dtn_" not in caught.value.message


def test_what_is_not_a_text_file_is_refused(places: Places) -> None:
    places.file.write_bytes(b'{\n"name": "\xff"}')
    with pytest.raises(SettingError, match="line 2: this is not UTF-8"):
        user_file.read(places.file)
    places.file.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(SettingError, match="larger than 1 MiB"):
        user_file.read(places.file)
    places.file.unlink()
    os.mkfifo(places.file)
    with pytest.raises(SettingError, match="it is not a file"):
        user_file.read(places.file)


def test_a_written_file_is_for_its_owner_and_follows_a_link(places: Places) -> None:
    kept = places.folder / "dotfiles" / "settings.json"
    places.file.symlink_to(kept)
    user_file.write(places.file, {"env": {"A": "ä"}, "cpu": 2})
    assert places.file.is_symlink()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert user_file.read(places.file) == {"env": {"A": "ä"}, "cpu": 2}
    assert json.loads(kept.read_text()) == {"env": {"A": "ä"}, "cpu": 2}
    assert [each.name for each in kept.parent.iterdir()] == ["settings.json"]
