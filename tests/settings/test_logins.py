"""The logins: of `daytona-kernel login`, `.env` files and Daytona's command line; and where keys go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import DaytonaAuthenticationError, DaytonaConfig, doctor
from daytona_kernel.config import DEFAULT_API_URL, Settings, resolve

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "dtn_0123456789abcdef", "dtn_fedcba9876543210"
OWN_URL, STRANGERS_URL = "https://daytona.mine.test/api", "https://stranger.test/api"


class Machine:
    """A person's configuration directories, and a folder of notebooks that is the current one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        self.config, self.cli = folder / "jupyter", folder / "daytona"
        self.environ = {"JUPYTER_CONFIG_DIR": str(self.config), "DAYTONA_CONFIG_DIR": str(self.cli)}
        for each in (self.config, self.cli):
            each.mkdir()

    def log_in(self, **content: Any) -> None:
        (self.config / "daytona_kernel_login.json").write_text(json.dumps(content))

    def log_in_to_cli(self, **api: Any) -> None:
        profile = {"id": "p", "name": "mine", "api": api, "activeOrganizationId": "organization"}
        other = {"id": "q", "name": "other", "api": {"url": STRANGERS_URL, "key": OTHER}}
        content = {"activeProfile": "p", "profiles": [other, profile]}
        (self.cli / "config.json").write_text(json.dumps(content))

    def write_dotenv(self, *lines: str, name: str = ".env") -> None:
        (self.folder / name).write_text("\n".join(lines))

    def resolve(self, **variables: str) -> Settings:
        return resolve(None, {**self.environ, **variables})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.chdir(machine.folder)
    return machine


def shown(settings: Settings) -> tuple[str | None, str | None, str]:
    return settings.api_key.value, settings.api_url.value, settings.api_key.source


def test_a_login_is_used_with_the_url_that_it_is_for(machine: Machine) -> None:
    assert machine.resolve().embedded
    machine.log_in(api_url=OWN_URL, api_key=KEY)
    assert shown(machine.resolve()) == (KEY, OWN_URL, "daytona-kernel login")
    assert shown(machine.resolve(DAYTONA_API_URL=f"{OWN_URL}/")) == (
        KEY,
        f"{OWN_URL}/",
        "daytona-kernel login",
    )
    # A key of the environment takes precedence, and needs no login.
    assert shown(machine.resolve(DAYTONA_API_KEY=OTHER)) == (OTHER, DEFAULT_API_URL, "DAYTONA_API_KEY")


@pytest.mark.parametrize("place", ["argument", "environment", "file"])
def test_the_key_of_a_login_goes_to_no_other_server(machine: Machine, place: str) -> None:
    machine.log_in(api_url=OWN_URL, api_key=KEY)
    config = DaytonaConfig(api_url=STRANGERS_URL) if place == "argument" else None
    variables = {"DAYTONA_API_URL": STRANGERS_URL} if place == "environment" else {}
    if place == "file":
        (machine.config / "daytona_kernel_config.json").write_text(json.dumps({"api_url": STRANGERS_URL}))
    with pytest.raises(DaytonaAuthenticationError, match=r"is for https://daytona\.mine\.test/api") as caught:
        resolve(config, {**machine.environ, **variables})
    assert "The key was not sent" in caught.value.message
    assert KEY not in caught.value.message


def test_a_dotenv_file_counts_only_in_a_folder_that_the_person_trusts(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write_dotenv("# mine", f'export DAYTONA_API_KEY="{KEY}" # the key', "OTHER=1")
    assert machine.resolve().embedded
    for folders in ("notebooks", ".", "", str(tmp_path / "elsewhere"), f"{machine.folder}x"):
        assert machine.resolve(DAYTONA_KERNEL_DOTENV_FOLDERS=folders).embedded
    trust = {"DAYTONA_KERNEL_DOTENV_FOLDERS": f"/nowhere:{tmp_path}"}
    assert shown(machine.resolve(**trust)) == (KEY, DEFAULT_API_URL, str(machine.folder / ".env"))
    assert shown(machine.resolve(DAYTONA_API_URL=OWN_URL, **trust))[:2] == (KEY, OWN_URL)
    machine.write_dotenv(f"DAYTONA_API_KEY={OTHER}", name=".env.local")
    assert machine.resolve(**trust).api_key.value == OTHER
    # A link out of a trusted folder leads to one that nobody trusts.
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text(f"DAYTONA_API_KEY={KEY}")
    (machine.folder / "link").symlink_to(elsewhere)
    monkeypatch.chdir(machine.folder / "link")
    assert machine.resolve(**trust).embedded


def test_a_dotenv_file_names_no_server(machine: Machine) -> None:
    """Neither its own key nor the person's goes to a URL in it."""
    trust = {"DAYTONA_KERNEL_DOTENV_FOLDERS": str(machine.folder)}
    machine.write_dotenv(f"DAYTONA_API_URL={STRANGERS_URL}")
    assert machine.resolve(**trust).embedded
    assert machine.resolve(DAYTONA_API_KEY=KEY, **trust).api_url.value == DEFAULT_API_URL
    machine.log_in(api_url=OWN_URL, api_key=KEY)
    assert shown(machine.resolve(**trust))[:2] == (KEY, OWN_URL)
    machine.write_dotenv(f"DAYTONA_API_URL={STRANGERS_URL}", f"DAYTONA_API_KEY={OTHER}")
    with pytest.raises(DaytonaAuthenticationError, match=r"no setting names https://stranger\.test/api"):
        machine.resolve(**trust)
    assert machine.resolve(DAYTONA_API_URL=STRANGERS_URL, **trust).api_key.value == OTHER


def test_the_login_of_daytonas_command_line_is_the_last(machine: Machine) -> None:
    machine.log_in_to_cli(url=OWN_URL, key=KEY)
    assert shown(machine.resolve()) == (KEY, OWN_URL, "Daytona's command line")
    assert machine.resolve(DAYTONA_KERNEL_CLI_LOGIN="no").embedded
    with pytest.raises(DaytonaAuthenticationError, match="not sent"):
        machine.resolve(DAYTONA_API_URL=STRANGERS_URL)
    machine.log_in(api_url=STRANGERS_URL, api_key=OTHER)
    assert shown(machine.resolve())[:2] == (OTHER, STRANGERS_URL)


def test_a_token_of_daytonas_command_line_comes_with_its_organization(machine: Machine) -> None:
    token = {"accessToken": "a.b.c", "refreshToken": "r", "expiresAt": "2999-01-02T03:04:05.123456789+01:00"}
    machine.log_in_to_cli(url=OWN_URL, token=token)
    assert machine.resolve().authorization == {
        "Authorization": "Bearer a.b.c",
        "X-Daytona-Organization-ID": "organization",
    }
    machine.log_in_to_cli(url=OWN_URL, token={**token, "expiresAt": "2020-01-02T03:04:05Z"})
    with pytest.raises(DaytonaAuthenticationError, match=r"has expired\. Log in again with `daytona login`"):
        machine.resolve()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"profiles": 3}', '{"profiles": [], "activeProfile": "p"}']
)
def test_a_command_line_without_a_login_is_none(machine: Machine, content: str) -> None:
    (machine.cli / "config.json").write_text(content)
    assert machine.resolve().embedded


@pytest.mark.parametrize("content", ["", "{", "[]", '{"api_key": "x"}', '{"api_url": "https://x.test"}'])
def test_an_unusable_login_is_one_sentence(machine: Machine, content: str) -> None:
    (machine.config / "daytona_kernel_login.json").write_text(content)
    with pytest.raises(DaytonaAuthenticationError, match=r"cannot be used\. No key was sent"):
        machine.resolve()


def test_doctor_says_which_key_is_in_force_and_which_is_not_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    machine.write_dotenv(f"DAYTONA_API_KEY={OTHER}")
    place, unused = doctor._settings()
    assert "Cells run on this machine" in place.sentence
    assert unused.sentence.startswith(f"The key in {machine.folder / '.env'} is not used")
    assert f"daytona-kernel config set dotenv_folders {machine.folder}" in unused.sentence
    machine.log_in(api_url=OWN_URL, api_key=KEY)
    (place,) = doctor._settings()
    assert f"api_key …cdef (daytona-kernel login), api_url {OWN_URL} (daytona-kernel login)" in place.sentence
