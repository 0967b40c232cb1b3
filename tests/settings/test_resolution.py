"""The places of a setting in their order, and the combinations that no sandbox can have."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel.errors import SettingError
from daytona_kernel.sandbox_params import describe, make_params
from daytona_kernel.settings import user_file
from daytona_kernel.settings.combinations import combine
from daytona_kernel.settings.declaration import Origin
from daytona_kernel.settings.resolution import (
    KERNELSPEC_VARIABLE,
    Found,
    find,
    process_variables,
    sandbox_settings,
    value,
)
from daytona_kernel.settings.table import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Places


def test_the_first_place_decides(places: Places) -> None:
    user_file.write(places.file, {"cpu": 1})
    environ = dict(places.environ)

    def cpu(**options: int) -> tuple[Any, str]:
        found = sandbox_settings(options, environ)["cpu"]
        return found.value, found.source

    assert cpu() == (1, "user's file")
    environ["DAYTONA_SANDBOX_CPU"] = "2"
    assert cpu() == (2, "DAYTONA_SANDBOX_CPU")
    environ[KERNELSPEC_VARIABLE] = json.dumps({"cpu": 3})
    assert cpu() == (3, "kernelspec")
    places.write_notebook({"cpu": 4})
    assert cpu() == (4, "notebook")
    assert cpu(cpu=5) == (5, "option")


def test_settings_without_a_value_are_not_there(places: Places) -> None:
    assert sandbox_settings({}, {**places.environ, "DAYTONA_SANDBOX_CPU": " "}) == {}


@pytest.mark.parametrize(
    "name", [each.name for each in TABLE.values() if Origin.NOTEBOOK not in each.origins] + ["project", ""]
)
def test_a_notebook_cannot_set_what_is_the_persons(places: Places, name: str) -> None:
    places.write_notebook({name: "1"})
    with pytest.raises(SettingError, match="The notebook's metadata has") as caught:
        sandbox_settings({}, places.environ)
    assert "No sandbox was created" in caught.value.message


@pytest.mark.parametrize("metadata", [[], "x", 3, None, {}])
def test_metadata_of_another_shape_are_no_settings(places: Places, metadata: Any) -> None:
    places.write_notebook(metadata)
    assert sandbox_settings({}, places.environ) == {}


def test_what_is_not_a_notebook_is_not_read(places: Places, tmp_path: Path) -> None:
    file = tmp_path / "analysis.ipynb"
    file.write_text('{"metadata": {"daytona": {"cpu": 4')
    assert sandbox_settings({}, places.environ) == {}
    file.unlink()
    os.mkfifo(file)
    assert sandbox_settings({}, places.environ) == {}
    file.unlink()
    assert sandbox_settings({}, places.environ) == {}


def test_the_machines_settings_come_from_the_environment_and_the_file(places: Places) -> None:
    user_file.write(places.file, {"outputs": "safe", "isolation": "none", "network": "none"})
    environ = {**places.environ, "DAYTONA_KERNEL_NETWORK": "host", KERNELSPEC_VARIABLE: '{"outputs": "all"}'}
    assert value("outputs", environ) == "safe"
    assert process_variables(environ) == {"DAYTONA_KERNEL_ISOLATION": "none"}
    with pytest.raises(SettingError, match=r"In the kernelspec, outputs is never taken from here"):
        sandbox_settings({}, environ)


def test_a_setting_that_cannot_be_read_has_its_strict_value(places: Places) -> None:
    places.file.write_text("{")
    assert value("outputs", places.environ, strict="safe") == "safe"
    with pytest.raises(SettingError, match="line 1: this is not JSON"):
        find("outputs", places.environ)
    places.file.unlink()
    with pytest.raises(SettingError, match="DAYTONA_KERNEL_LOCAL takes true or false, not 'perhaps'"):
        find("local", {**places.environ, "DAYTONA_KERNEL_LOCAL": "perhaps"})


def test_a_wrong_variable_is_named_and_a_secret_is_not_shown(places: Places) -> None:
    with pytest.raises(SettingError, match="DAYTONA_SANDBOX_CPU takes a number of cores, 1 or more, not '0'"):
        sandbox_settings({}, {**places.environ, "DAYTONA_SANDBOX_CPU": "0"})
    with pytest.raises(SettingError) as caught:
        sandbox_settings({}, {**places.environ, "DAYTONA_SANDBOX_ENV": "hunter2"})
    assert "hunter2" not in caught.value.message
    assert sandbox_settings({"env": {"TOKEN": "hunter2"}}, places.environ)["env"].shown == "TOKEN"


def settings(*given: tuple[str, Any, Origin]) -> dict[str, Found]:
    return {name: Found(TABLE[name], value, origin) for name, value, origin in given}


FILE, OPTION = Origin.FILE, Origin.OPTION


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([("image", "i", OPTION), ("snapshot", "s", FILE)], {"image"}),
        ([("image", "i", FILE), ("snapshot", "s", OPTION)], {"snapshot"}),
        ([("cpu", 8, FILE), ("image", "i", FILE), ("snapshot", "s", OPTION)], {"snapshot"}),
        ([("cpu", 8, OPTION), ("image", "i", OPTION), ("snapshot", "s", FILE)], {"cpu", "image"}),
        ([("auto_pause", 9, OPTION), ("auto_stop", 5, FILE)], {"auto_pause"}),
        ([("auto_pause", 0, OPTION), ("auto_stop", 5, FILE)], None),
        ([("network_block_all", False, FILE), ("domain_allow_list", ["a"], FILE)], None),
    ],
)
def test_a_more_important_place_replaces_what_excludes_it(
    given: list[tuple[str, Any, Origin]], left: set[str] | None
) -> None:
    assert combine(settings(*given)).keys() == (left or {name for name, _, _ in given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([("image", "i", FILE), ("snapshot", "s", FILE)], "image (user's file) and snapshot (user's file)"),
        ([("cpu", 8, OPTION), ("snapshot", "s", FILE)], "cpu (option) and snapshot (user's file) exclude"),
        ([("gpu", 1, FILE), ("snapshot", "s", FILE)], "A snapshot decides the size of its sandboxes"),
        ([("auto_stop", 5, FILE), ("auto_pause", 5, FILE)], "stops or pauses, and not both"),
        ([("network_block_all", True, OPTION), ("domain_allow_list", ["a"], FILE)], "reaches no address"),
    ],
)
def test_what_excludes_each_other_is_one_sentence(given: list[tuple[str, Any, Origin]], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        combine(settings(*given))
    assert words in caught.value.message
    assert caught.value.message.endswith("Leave out one of the two.")


def test_the_settings_become_parameters_and_words() -> None:
    params = make_params(
        settings(
            ("cpu", 8, OPTION),
            ("memory", 16, OPTION),
            ("image", "python:3.13", OPTION),
            ("volumes", ["data:/data"], FILE),
            ("network_allow_list", ["10.0.0.0/24", "1.1.1.1/32"], FILE),
        )
    )
    assert describe(params) == "8 cores, 16 GiB memory, image python:3.13"
    assert params.network_allow_list == "10.0.0.0/24,1.1.1.1/32"
    assert [(each.volume_id, each.mount_path) for each in params.volumes or ()] == [("data", "/data")]
    assert describe(make_params({})) == ""


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ({}, None),
        ({"auto_pause": 7}, 7),
        ({"at_shutdown": "keep"}, None),
        ({"at_shutdown": "pause"}, 30),
        ({"at_shutdown": "pause", "auto_pause": 7}, 7),
        ({"at_shutdown": "pause", "auto_pause": 0}, None),
        ({"at_shutdown": "pause", "auto_stop": 5}, None),
    ],
)
def test_a_sandbox_that_is_paused_at_the_end_pauses_when_it_is_idle(
    given: dict[str, Any], minutes: int | None
) -> None:
    found = settings(*((name, value, FILE) for name, value in given.items()))
    assert make_params(found).auto_pause_interval == minutes
