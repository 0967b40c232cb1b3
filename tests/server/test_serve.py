"""`daytona-kernel serve` prints what to export, serves, and ends cleanly."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from daytona_kernel.server import serve
from tests.server.conftest import eventually, processes_with

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import argparse, sys
from daytona_kernel.server import serve
parser = argparse.ArgumentParser()
serve.add_arguments(parser)
sys.exit(serve.run(parser.parse_args()))
"""


def start(*options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | (env or {}),
    )


def exported(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    words: list[str] = []
    for _ in range(2):
        command, *more = shlex.split(process.stdout.readline())
        assert command == "export"
        words += more
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_a_session_from_start_to_end(tmp_path: Path, signum: int, isolation: str) -> None:
    root = tmp_path / "root"
    process = start("--root", str(root), "--isolation", isolation)
    variables = exported(process)
    headers = {"Authorization": f"Bearer {variables['DAYTONA_API_KEY']}"}
    assert variables["DAYTONA_API_URL"].startswith("http://127.0.0.1:")
    with httpx.Client(headers=headers, trust_env=False, timeout=30) as client:
        sandbox = client.post(f"{variables['DAYTONA_API_URL']}/sandbox", json={}).json()
        toolbox = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}"
        body = {"command": "(setsid sleep 1000 >/dev/null 2>&1 &); echo hi"}
        assert client.post(f"{toolbox}/process/execute", json=body).json()["result"] == "hi\n"
        second = start("--root", str(root))
        assert second.wait(20) == 1
        assert second.stderr is not None
        assert "another server uses" in second.stderr.read()
        second.communicate()
    assert processes_with(sandbox["id"])
    process.send_signal(signum)
    assert process.wait(20) == 0
    eventually(lambda: not processes_with(sandbox["id"]), "no process is left", 2)
    assert [path.name for path in root.iterdir()] == ["lock"]
    process.communicate()


@pytest.mark.parametrize(
    ("options", "stdin", "env"),
    [
        (["--key", "my key"], "", {}),
        (["--key", "-"], "my key\n", {}),
        ([], "", {"DAYTONA_KERNEL_SERVE_KEY": "my key"}),
    ],
)
def test_three_ways_to_choose_the_key(options: list[str], stdin: str, env: dict[str, str]) -> None:
    process = start("--isolation", "none", *options, env=env)
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.flush()
    assert exported(process)["DAYTONA_API_KEY"] == "my key"
    process.terminate()
    process.communicate(timeout=20)


def test_the_server_can_behave_as_daytona_does() -> None:
    process = start("--isolation", "none", "--profile", "daytona")
    variables = exported(process)
    headers = {"Authorization": f"Bearer {variables['DAYTONA_API_KEY']}"}
    created = httpx.post(f"{variables['DAYTONA_API_URL']}/sandbox", json={}, headers=headers, trust_env=False)
    assert created.json()["state"] == "creating"
    process.terminate()
    process.communicate(timeout=20)


def test_a_public_address_needs_an_option_that_names_the_danger() -> None:
    process = start("--host", "0.0.0.0")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "anyone who has the key can run programs" in errors
    assert "--i-know-this-gives-strangers-a-shell" in errors


def test_a_taken_port_gives_an_error_of_one_sentence() -> None:
    first = start("--isolation", "none")
    port = exported(first)["DAYTONA_API_URL"].rpartition(":")[2].removesuffix("/api")
    second = start("--isolation", "none", "--port", port)
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "cannot serve" in errors
    assert "Traceback" not in errors
    first.terminate()
    first.communicate(timeout=20)


def test_the_options_have_help() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    for option in ("--host", "--port", "--key", "--root", "--isolation", "--profile"):
        assert option in parser.format_help()


def test_the_next_server_removes_the_directory_of_a_killed_one(tmp_path: Path) -> None:
    temporary = {"TMPDIR": str(tmp_path)}
    first = start("--isolation", "none", env=temporary)
    exported(first)
    [directory] = tmp_path.iterdir()
    first.kill()
    first.communicate(timeout=20)
    assert directory.exists()
    second = start("--isolation", "none", env=temporary)
    exported(second)
    eventually(lambda: not directory.exists(), "the next server has removed the directory")
    second.terminate()
    second.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []
