"""A Python without ipykernel gets it once, and keeps its own packages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from daytona_kernel.interpreter.bundle import agent_archive
from daytona_kernel.interpreter.connection import Credentials
from daytona_kernel.interpreter.interpreter import Interpreter
from daytona_kernel.wire.agent_configuration import AgentConfiguration
from daytona_kernel.wire.schema import encode_fields


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip and nothing else."""
    directory = tmp_path_factory.mktemp("bare")
    venv.create(directory, with_pip=True, symlinks=True)
    return directory / "bin" / "python"


def start(
    python: Path, folder: Path, **environment: str
) -> tuple[list[dict[str, Any]], subprocess.Popen[str]]:
    """Start the agent until it listens, or has ended; return what it reported."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.pyz").write_bytes(agent_archive())
    configuration = AgentConfiguration("s", "l" * 16, "m", {})
    (folder / "settings.json").write_text(json.dumps(encode_fields(configuration)))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    agent = subprocess.Popen(
        [str(python), str(folder / "agent.pyz"), str(folder / "settings.json")],
        env={**clean, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout is not None
    reports = []
    for line in agent.stdout:
        reports.append(json.loads(line))
        if "port" in reports[-1]:
            break
    return reports, agent


async def run_in(port: int, code: str) -> str:
    """Run code in the interpreter of an agent, and return what it prints."""

    class Gateway:
        sandbox_answers = False
        is_paused = False

        async def resume(self) -> None:
            raise AssertionError("this sandbox is never paused")

        async def open(self) -> ClientConnection:
            return await connect(f"ws://127.0.0.1:{port}/", max_size=None)

        async def agent_ended(self) -> str | None:
            return None

    credentials = Credentials(link="l" * 16, secret="s")
    interpreter = Interpreter(Gateway(), credentials, on_message=lambda _: None)
    running = asyncio.ensure_future(interpreter.run())
    try:
        answer = await asyncio.wait_for(interpreter.execute(code), 30)
        assert answer.exit_code == 0
        return answer.result
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def stop(agent: subprocess.Popen[str]) -> None:
    with agent:  # closes its pipe
        agent.terminate()
        agent.wait(30)


def test_ipykernel_is_installed_once_and_the_python_stays_its_own(bare_python: Path, tmp_path: Path) -> None:
    reports, agent = start(bare_python, tmp_path)
    assert "Installing ipykernel" in reports[0]["progress"]
    said = asyncio.run(run_in(reports[-1]["port"], "import sys; print(sys.executable); import pip, IPython"))
    stop(agent)
    assert said == f"{bare_python}\n"
    listed = subprocess.run([bare_python, "-c", "import ipykernel"], capture_output=True, check=False)
    assert listed.returncode != 0, "the image's own packages were changed"
    again, agent = start(bare_python, tmp_path)
    stop(agent)
    assert [list(report) for report in again] == [["port"]]


def test_a_failed_installation_gives_one_sentence(bare_python: Path, tmp_path: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PATH": "/nowhere"}
    reports, agent = start(bare_python, tmp_path, **offline)
    with agent:
        assert agent.wait(30) == 1
    assert "has no ipykernel, and it could not be installed" in reports[-1]["error"]
    assert str(bare_python.parent) in reports[-1]["error"]


def test_a_python_that_has_ipykernel_is_used_as_it_is(tmp_path: Path) -> None:
    reports, agent = start(Path(sys.executable), tmp_path)
    stop(agent)
    assert [list(report) for report in reports] == [["port"]]
    assert not (tmp_path / "cache").exists()
