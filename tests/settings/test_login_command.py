"""`daytona-kernel login` and `logout`, run the way people run them, with a server that checks the key."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.served import COMMAND, served

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["served"]

# A keyring program that keeps its secrets in a file, as the real one is called.
_KEYRING = """
import json, pathlib, sys
file = pathlib.Path({file!r})
kept = json.loads(file.read_text()) if file.exists() else {{}}
action, name = sys.argv[1], " ".join(sys.argv[2:])
if action == "set":
    kept[name] = sys.stdin.read()
elif action == "get":
    print(kept[name])
else:
    del kept[name]
file.write_text(json.dumps(kept))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a person who is logged in nowhere and has no keyring."""
    path = f"{tmp_path / 'bin'}:{os.defpath}"
    return {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "PATH": path}


def run(*arguments: str, given: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, check=False, env=env
    )


def test_a_key_is_checked_kept_for_its_owner_used_and_removed(
    served: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    key, url = served["DAYTONA_API_KEY"], served["DAYTONA_API_URL"]
    login = ["login", "--api-url", url]
    wrong = run(*login, given="dtn_wrong_0123456789\n", env=environment)
    assert wrong.returncode == 1
    assert "Nothing was kept." in wrong.stderr
    assert "dtn_wrong" not in wrong.stderr
    file = tmp_path / "config/daytona_kernel_login.json"
    assert not file.exists()
    assert "No key was given" in run(*login, given="\n", env=environment).stderr

    done = run(*login, given=f"{key}\n", env=environment)
    assert done.returncode == 0, done.stderr
    assert key not in done.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"api_url": url, "api_key": key}
    assert "No sandboxes" in run("sandboxes", given="", env=environment).stdout

    assert "was removed" in run("logout", given="", env=environment).stdout
    assert not file.exists()
    assert "There is no key" in run("logout", given="", env=environment).stdout


def test_a_key_that_cannot_be_checked_is_kept_and_said_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    url = "http://someone:hunter2@127.0.0.1:9/api"
    done = run("login", "--api-url", url, given="dtn_0123456789abcdef", env=environment)
    assert done.returncode == 0, done.stderr
    assert "The key for http://127.0.0.1:9/api is in" in done.stdout
    assert "hunter2" not in done.stdout
    assert "It was not checked." in done.stdout
    assert (tmp_path / "config/daytona_kernel_login.json").exists()


def test_a_terminal_does_not_show_the_key(served: dict[str, str], environment: dict[str, str]) -> None:
    terminal = pexpect.spawn(
        COMMAND,
        ["login", "--api-url", served["DAYTONA_API_URL"]],
        env=environment,
        encoding="utf-8",
        timeout=60,
    )
    terminal.expect(r"it is not shown\): ")
    terminal.sendline(served["DAYTONA_API_KEY"])
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    printed = str(terminal.before)
    assert "Kernels that start from now on use it" in printed
    assert served["DAYTONA_API_KEY"] not in printed


def test_a_keyring_has_the_key_and_the_file_does_not(
    served: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    kept = tmp_path / "keyring.json"
    program = tmp_path / "bin/keyring"
    program.parent.mkdir()
    program.write_text(f"#!/usr/bin/env python3\n{_KEYRING.format(file=str(kept))}")
    program.chmod(0o755)
    key, url = served["DAYTONA_API_KEY"], served["DAYTONA_API_URL"]
    done = run("login", "--api-url", url, given=key, env=environment)
    assert "is in your keyring" in done.stdout, done.stderr
    file = tmp_path / "config/daytona_kernel_login.json"
    assert json.loads(file.read_text()) == {"api_url": url, "keyring": True}
    assert json.loads(kept.read_text()) == {f"daytona-kernel {url}": key}
    assert "No sandboxes" in run("sandboxes", given="", env=environment).stdout
    kept.write_text("{}")
    assert "Your keyring did not give the API key" in run("sandboxes", given="", env=environment).stderr
    kept.write_text(json.dumps({f"daytona-kernel {url}": key}))
    assert "was removed" in run("logout", given="", env=environment).stdout
    assert json.loads(kept.read_text()) == {}
