"""Cells on images as people have them: bare, without pip, without Python, with a venv, with older Pythons."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import AsyncDaytona, CreateSandboxParams
from daytona_kernel.errors import InterpreterStartError
from daytona_kernel.interpreter.delivery import deliver
from daytona_kernel.interpreter.gateway import AgentGateway
from daytona_kernel.interpreter.interpreter import Interpreter
from daytona_kernel.interpreter.launcher import launch
from tests.images.roots import MAKERS, WITH_LIBRARIES, MissingImageError, image
from tests.isolation import needs_bubblewrap
from tests.kernel.driver import running_kernel
from tests.served import config, serving
from tests.server.test_python_environment import make_wheel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from daytona_kernel.client.sandbox import AsyncSandbox

# The first run makes the images, which takes minutes.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1800)]

# The parts of a notebook's first minutes, in Python that 3.10 has.
CODE = """
import asyncio, json, os, subprocess, sys, threading
from dataclasses import dataclass

@dataclass
class Point:
    x: int = 0

await asyncio.sleep(0)
assert subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True).stdout == b"42\\n"
from IPython.display import display, HTML
display(HTML("<b>bold</b>"))
print(sys.executable, "%d.%d" % sys.version_info[:2], sys.prefix)
"""


@dataclass
class Images:
    """A server that has the images, and why it lacks the others."""

    environment: dict[str, str]
    missing: dict[str, str]

    def need(self, name: str) -> None:
        if name in self.missing:
            pytest.skip(f"no image {name}: {self.missing[name]}")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    needs_bubblewrap()
    options: list[str] = []
    missing = {}
    for name in MAKERS.keys() - {WITH_LIBRARIES}:
        try:
            options += ["--snapshot", f"{name}={image(name)}"]
        except MissingImageError as error:
            missing[name] = str(error)
    with serving(tmp_path_factory.mktemp("images"), *options) as environment:
        yield Images(environment, missing)


@dataclass
class Run:
    """A sandbox on an image, and what was shown while its agent started."""

    sandbox: AsyncSandbox
    shown: list[str] = field(default_factory=list)

    async def code(self, code: str = CODE) -> str:
        """Start an agent as a kernel does, run code in its interpreter, and return what it prints."""
        self.shown.clear()
        agent = await launch(
            self.sandbox.process,
            "the-session",
            on_progress=self.shown.append,
            bring_packages=lambda target: deliver(self.sandbox.fs, target, self.shown.append),
        )
        interpreter = Interpreter(
            AgentGateway(self.sandbox, agent), agent.credentials, on_message=lambda _: None
        )
        running = asyncio.ensure_future(interpreter.run())
        try:
            answer = await asyncio.wait_for(interpreter.execute(code), 120)
            assert answer.exit_code == 0, answer
            return answer.result
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.sandbox.process.delete_session(agent.session_id)


@asynccontextmanager
async def run_on(images: Images, name: str, *, offline: bool = False) -> AsyncIterator[Run]:
    images.need(name)
    async with AsyncDaytona(config(images.environment)) as daytona:
        sandbox = await daytona.create(CreateSandboxParams(snapshot=name, network_block_all=offline))
        try:
            yield Run(sandbox)
        finally:
            await sandbox.delete()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("small", "The sandbox has no Python: there is no python3 on its PATH. Cells need Python 3.10"),
        (
            "python3.9",
            "The sandbox's Python is 3.9 (/opt/python/bin/python3), and cells need Python 3.10 or newer",
        ),
    ],
)
async def test_an_image_without_a_usable_python_says_so_in_one_sentence(
    images: Images, name: str, says: str
) -> None:
    async with run_on(images, name, offline=True) as run:
        with pytest.raises(InterpreterStartError) as raised:
            await run.code()
        assert raised.value.message.startswith(says)
        assert run.shown == []
        assert (await run.sandbox.process.exec("echo $((6 * 7))")).result == "42\n"  # %sh works


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("python3.10", "/opt/python/bin/python3 3.10 /opt/python"),
        ("trixie-without-pip", "/usr/bin/python3 3.13 /usr"),
        ("trixie-venv", "/opt/venv/bin/python3 3.13 /opt/venv"),
    ],
)
async def test_without_an_index_the_kernel_brings_the_packages_once(
    images: Images, name: str, python: str
) -> None:
    async with run_on(images, name, offline=True) as run:
        assert await run.code() == f"{python}\n"
        assert any("Sending ipykernel and" in text and "MB" in text for text in run.shown)
        left = "ls -d /tmp/daytona-kernel-wheels-* ~/.cache/daytona-kernel/.* 2>/dev/null | grep -v '/\\.*$'"
        assert (await run.sandbox.process.exec(left)).result == ""
        assert await run.code() == f"{python}\n"
        assert run.shown == []
        command = "python3 -c 'import importlib.util as u; print(u.find_spec(\"ipykernel\"))'"
        assert (await run.sandbox.process.exec(command)).result == "None\n"  # the image's Python is unchanged


@pytest.mark.libraries  # tests/agent/test_environment.py installs from the index, too
async def test_an_index_is_used_once(images: Images) -> None:
    async with run_on(images, "trixie") as run:
        if (await run.sandbox.process.exec("getent hosts pypi.org")).exit_code != 0:
            pytest.skip("sandboxes reach no package index here")
        assert await run.code() == "/usr/bin/python3 3.13 /usr\n"
        assert run.shown == ["Installing ipykernel for /usr/bin/python3 …"]
        assert await run.code() == "/usr/bin/python3 3.13 /usr\n"
        assert run.shown == []


def test_a_kernel_works_on_forky(images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.need("forky")
    monkeypatch.setattr("tests.kernel.driver.DEADLINE", 300.0)  # the first cell waits for an installation
    snapshot = {"DAYTONA_SANDBOX_SNAPSHOT": "forky", "DAYTONA_SANDBOX_NETWORK_BLOCK_ALL": "true"}
    with running_kernel(**images.environment, **snapshot) as driver:
        first = driver.run("import sys; sys.version_info[:2]")
        assert first.result == "(3, 14)"
        shown = [*first.contents("display_data"), *first.contents("update_display_data")]
        assert any("ipykernel" in each["data"]["text/plain"] for each in shown)
        assert driver.run("%sh python3 --version").stdout.startswith("Python 3.14")
        assert driver.run("%%code_run\nimport sys\nprint(sys.version_info[:2])").stdout == "(3, 14)\n"
        assert driver.run("lines = %sh echo one; echo two\nlines").result == "['one', 'two']"
        assert driver.run("1 / 0").error["ename"] == "ZeroDivisionError"
        assert driver.run(
            "import subprocess; subprocess.run(['id', '-un'], capture_output=True).stdout"
        ).result == ("b'daytona\\n'")
        # Debian reserves its Python for apt, and the account's own folder of packages is new.
        wheel = make_wheel(tmp_path, "brought", "1.0")
        driver.run(f"open({wheel.name!r}, 'wb').write({wheel.read_bytes()!r})")
        installed = driver.run(f"%pip install --no-index {wheel.name}")
        assert "Successfully installed brought-1.0" in installed.stdout, installed.stdout + installed.stderr
        assert driver.run("import brought; brought.version").result == "'1.0'"
        assert driver.run("import os; 'PIP_BREAK_SYSTEM_PACKAGES' in os.environ").result == "False"


def test_a_failed_installation_is_said_and_not_tried_again_at_each_cell(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.need("trixie-without-pip")
    monkeypatch.setattr("tests.kernel.driver.DEADLINE", 300.0)
    settings = {"DAYTONA_SANDBOX_SNAPSHOT": "trixie-without-pip", "DAYTONA_SANDBOX_NETWORK_BLOCK_ALL": "true"}
    # This machine has no index either.
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "XDG_CACHE_HOME": str(tmp_path)}
    with running_kernel(**images.environment, **settings, **offline) as driver:
        first = driver.run("print(6 * 7)")
        assert first.stdout == "42\n"  # in a process of its own
        assert "has no ipykernel, and it could not be installed: there is neither pip nor uv." in first.stderr
        assert "This machine could not load the packages either: " in first.stderr
        began = time.monotonic()
        second = driver.run("print(6 * 7)")
        assert second.stdout == "42\n"
        assert "The kernel tries again after 5 minutes" in second.stderr
        assert time.monotonic() - began < 10
