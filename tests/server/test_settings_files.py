"""Settings of pip and npm reach a sandbox from the files of this machine, without credentials."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box.inherited import inherited_settings, without_local_indexes
from daytona_kernel.server.box.settings_files import npm_settings, pip_settings
from tests.server.conftest import make_toolbox, start_embedded

if TYPE_CHECKING:
    from pathlib import Path

PIP = """
[global]
timeout = 77
index-url = https://user:s3cret@mirror.example.com/simple
extra-index-url =
    https://pypi.example.com/simple
    https://x7Hk29dPqWm4Zt81.example.com/x7Hk29dPqWm4Zt81
constraint = {home}/constraints.txt
target = {home}/elsewhere
[install]
prefer-binary = true
"""
NPM = """
; a comment
registry = "https://npm.example.com/repository/npm-group/"
@mine:registry=https://npm.example.com/repository/npm/
//npm.example.com/:_authToken=s3cret
prefix=/home/me/.npm-global
strict-ssl=false
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with settings of pip and npm."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "PIP_CONFIG_FILE", "NPM_CONFIG_USERCONFIG"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(PIP.format(home=tmp_path))
    (tmp_path / "constraints.txt").write_text("six<2\n")
    (tmp_path / ".npmrc").write_text(NPM)
    return tmp_path


def test_settings_of_pip_are_passed_on_without_credentials(home: Path) -> None:
    found = pip_settings(isolated=True)
    assert found["global"]["timeout"] == "77"
    assert found["global"]["extra-index-url"] == "https://pypi.example.com/simple"
    assert found["global"]["constraint"] == str(home / "constraints.txt")
    assert found["global"]["disable-pip-version-check"] == "true"
    assert found["install"] == {"prefer-binary": "true"}
    assert "target" not in found["global"]
    assert "s3cret" not in str(found)


def test_a_file_that_pip_cannot_read_gives_no_settings(home: Path) -> None:
    (home / ".config/pip/pip.conf").write_text("timeout = 77\n\xff")
    assert "timeout" not in pip_settings(isolated=True)["global"]


def test_settings_of_npm_are_passed_on_without_credentials(home: Path) -> None:
    found = npm_settings(isolated=True)
    assert found["registry"] == "https://npm.example.com/repository/npm-group/"
    assert found["@mine:registry"] == "https://npm.example.com/repository/npm/"
    assert found["strict-ssl"] == "false"
    assert found["prefix"] == "${HOME}/.local"
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIP_CONSTRAINT", "/srv/constraints.txt"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_DEFAULT_TIMEOUT", "180"),
        ("PIP_ONLY_BINARY", ":all:"),
        ("NPM_CONFIG_REGISTRY", "https://npm.example.com/"),
        ("UV_DEFAULT_INDEX", "https://pypi.example.com/simple"),
        ("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt"),
    ],
)
def test_variables_that_carry_no_credentials_are_inherited(name: str, value: str) -> None:
    assert inherited_settings({name: value}) == {name: value}


@pytest.mark.parametrize("name", ["PIP_TARGET", "PIP_KEYRING_PROVIDER", "UV_PUBLISH_TOKEN", "NPM_TOKEN"])
def test_variables_without_a_rule_are_not_inherited(name: str) -> None:
    assert inherited_settings({name: "value"}) == {}


def test_an_index_in_a_directory_of_this_machine_is_left_out() -> None:
    own = {
        "PIP_EXTRA_INDEX_URL": "file:///srv/simple https://pypi.example.com/simple",
        "UV_INDEX_URL": "/srv",
    }
    kept = without_local_indexes(inherited_settings(own) | {"PIP_FIND_LINKS": "/srv/wheels"})
    assert kept == {"PIP_EXTRA_INDEX_URL": "https://pypi.example.com/simple", "PIP_FIND_LINKS": "/srv/wheels"}


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_pip_and_npm_of_a_sandbox_have_the_settings(home: Path, isolation: str) -> None:
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": isolation, "PIP_RETRIES": "3"})
    server.lease = server.take_lease()
    with make_toolbox(server) as toolbox:
        pip = toolbox.execute("pip config list")["result"]
        constraint = toolbox.execute(f"cat {home}/constraints.txt")["result"]
        secrets = toolbox.execute("grep -rs s3cret ~ $VIRTUAL_ENV/pip.conf $VIRTUAL_ENV/etc /etc/npmrc; env")
        npm = toolbox.execute("npm config list; npm prefix -g")["result"] if shutil.which("npm") else ""
        on_path = toolbox.execute("case :$PATH: in *:$HOME/.local/bin:*) echo yes;; esac")["result"]
    server.end()
    assert "global.timeout='77'" in pip
    assert ":env:.retries='3'" in pip
    assert "install.prefer-binary='true'" in pip
    assert constraint == "six<2\n"
    assert "s3cret" not in secrets["result"]
    assert on_path == "yes\n"
    if not npm:
        pytest.skip("npm is not installed here; the settings of pip were tested")
    assert "https://npm.example.com/repository/npm-group/" in npm
    assert npm.splitlines()[-1].endswith("/.local")
