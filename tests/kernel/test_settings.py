"""Kernels whose sandbox is declared before they start: in notebook, kernelspec and user's file."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import AsyncDaytona, Daytona, SettingError
from daytona_kernel.formatting import format_sizes
from daytona_kernel.interpreter.packages import install
from daytona_kernel.kernel.host.handover import HandoverFile
from daytona_kernel.kernel.host.kernel_sandbox import KernelSandbox
from daytona_kernel.settings import user_file
from daytona_kernel.settings.resolution import KERNELSPEC_VARIABLE
from tests.served import config, served, serving

from .driver import running_kernel, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["served"]


def test_a_sandbox_is_what_notebook_kernelspec_and_file_declare(
    served: dict[str, str], tmp_path: Path
) -> None:
    notebook = tmp_path / "analysis.ipynb"
    metadata = {"daytona": {"cpu": 1, "env": {"STAGE": "from the notebook"}}}
    notebook.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    user_file.write(tmp_path / user_file.NAME, {"cpu": 7, "auto_stop": 77, "auto_delete": 0})
    places = {
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JPY_SESSION_NAME": str(notebook),
        KERNELSPEC_VARIABLE: json.dumps({"memory": 1}),
    }
    with running_kernel(**served, **places) as kernel, Daytona(config(served)) as daytona:
        assert kernel.run("import os; os.environ['STAGE']").result == "'from the notebook'"
        (sandbox,) = daytona.list()
        made = sandbox.instance
        assert (made.cpu, made.memory, made.auto_stop_interval, made.auto_delete_interval) == (1, 1, 77, 0)
        (about,) = kernel.run("%daytona").contents("display_data")
        shown = " ".join(about["data"]["text/plain"].split())
        for words in ("cpu 1 (notebook)", "memory 1 (kernelspec)", "auto_stop 77 (user's file)", "env STAGE"):
            assert words in shown
        assert "from the notebook" not in shown

        notebook.write_text(notebook.read_text().replace('"cpu"', '"volumes"'))
        assert "volumes is never taken from here" in kernel.run("%sandbox new").error["evalue"]
        assert kernel.run("os.environ['STAGE']").result == "'from the notebook'"

        notebook.unlink()
        moved = kernel.run("%sandbox new --env 'STAGE=an option' --env MORE=1 --cpu 1 --cwd options")
        assert moved.reply["status"] == "ok", moved.reply
        where = "import os; os.environ['STAGE'], os.environ['MORE'], os.path.basename(os.getcwd())"
        assert kernel.run(where).result == "('an option', '1', 'options')"
        # The kernel that replaces this one after a restart knows the options.
        kernel.manager.restart_kernel()
        kernel.client.stop_channels()
        kernel.connect()
        assert kernel.run(where).result == "('an option', '1', 'options')"
        (about,) = kernel.run("%daytona").contents("display_data")
        assert "cwd options (option)" in " ".join(about["data"]["text/plain"].split())


def test_a_kernel_starts_with_a_wrong_file_and_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / user_file.NAME).write_text('{\n  "cpu": "many"\n}\n')
    with running_kernel(JUPYTER_CONFIG_DIR=str(tmp_path)) as kernel:
        error = kernel.run("1 + 1").error
        assert error["ename"] == "SettingError"
        assert f"{tmp_path / user_file.NAME}, line 2: cpu takes a number of cores" in error["evalue"]
        assert len(error["traceback"]) == 1
        assert kernel.request("kernel_info_request", {})["status"] == "ok"


def wheel(name: str) -> bytes:
    """Return a wheel with one module, which pip installs without an index."""
    files = {
        f"{name}.py": "value = 42\n",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-1.0.dist-info/RECORD": "",
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for path, text in files.items():
            opened.writestr(path, text)
    return archive.getvalue()


def test_packages_folder_and_python_are_there_before_the_first_cell(
    served: dict[str, str], tmp_path: Path
) -> None:
    with Daytona(config(served)) as daytona:
        sandbox = daytona.create()
        file = "/tmp/declared-1.0-py3-none-any.whl"  # in the sandbox
        sandbox.fs.upload_file(wheel("declared"), file)
        python = sandbox.process.exec("command -v python3").result.strip()
        declared = {"packages": [file], "cwd": "project/part one", "python": python, "cpu": 7}
        user_file.write(tmp_path / user_file.NAME, declared)
        places = {**served, "JUPYTER_CONFIG_DIR": str(tmp_path), "DAYTONA_SANDBOX_ID": sandbox.id}
        with running_kernel(**places) as kernel:
            assert kernel.run("import declared, os; declared.value").result == "42"
            assert kernel.run("os.getcwd()").result.endswith("/project/part one'")
            assert kernel.run("%sh pwd").stdout.endswith("/project/part one\n")
            (about,) = kernel.run("%daytona").contents("display_data")
            assert "cpu" not in about["data"]["text/plain"]  # the sandbox was there before
        sandbox.delete()


def test_packages_are_installed_once_and_a_failure_says_why(served: dict[str, str]) -> None:
    async def install_twice() -> None:
        async with AsyncDaytona(config(served)) as daytona:
            sandbox = await daytona.create()
            process, file = sandbox.process, "/tmp/declared-1.0-py3-none-any.whl"  # as above
            with pytest.raises(SettingError, match=r"could not be installed: .*No interpreter was started"):
                await install(process, [file], "python3")
            with pytest.raises(SettingError, match="there is no nosuch in the sandbox"):
                await install(process, [file], "nosuch")
            await sandbox.fs.upload_file(wheel("declared"), file)
            await install(process, [file], "python3")
            await process.exec(f"rm {file}")
            await install(process, [file], "python3")  # nothing is done, since the file is gone
            assert await process.list_sessions() == []
            await sandbox.delete()

    asyncio.run(install_twice())


@pytest.fixture
def kernel_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], str]:
    """A function that creates a kernel's sandbox in an environment, calls a function, and ends the kernel."""

    def run(environment: dict[str, str]) -> str:
        async def create_and_leave() -> str:
            kernel_sandbox = KernelSandbox(HandoverFile(str(tmp_path / "kernel.json")), Future())
            try:
                return (await kernel_sandbox.sandbox()).id
            finally:
                await kernel_sandbox.leave(restart=False, interpreter_ended=True)

        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return asyncio.run(create_and_leave())

    return run


@pytest.mark.parametrize(("wanted", "state"), [("keep", "started"), ("stop", "stopped")])
def test_a_sandbox_stays_if_the_setting_says_so(
    served: dict[str, str], kernel_sandbox: Callable[[dict[str, str]], str], wanted: str, state: str
) -> None:
    made = kernel_sandbox({**served, "DAYTONA_SANDBOX_AT_SHUTDOWN": wanted})
    with Daytona(config(served)) as daytona:
        sandbox = daytona.get(made)
        assert sandbox.instance.auto_delete_interval == -1

        def is_in_state() -> bool:
            sandbox.refresh_data()
            return sandbox.state == state

        wait_until(is_in_state, what=f"the sandbox is not {state}")
        sandbox.delete()


def test_the_waiting_notice_and_info_use_the_same_words(
    served: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**served, "DAYTONA_SANDBOX_CPU": "1", "DAYTONA_SANDBOX_MEMORY": "1"}.items():
        monkeypatch.setenv(name, value)

    async def create() -> list[str]:
        kernel_sandbox = KernelSandbox(HandoverFile(str(tmp_path / "kernel.json")), Future())
        texts: list[str] = []
        kernel_sandbox.progress.watch(texts.append)
        instance = (await kernel_sandbox.sandbox()).instance
        await kernel_sandbox.leave(restart=False, interpreter_ended=True)
        return [*texts, format_sizes(instance.cpu, instance.memory, None, None)]

    assert asyncio.run(create()) == ["Creating a sandbox (1 core, 1 GiB memory) …", "1 core, 1 GiB memory"]


def test_the_embedded_server_cannot_keep_a_sandbox(kernel_sandbox: Callable[[dict[str, str]], str]) -> None:
    with pytest.raises(SettingError, match=r"at_shutdown is keep \(DAYTONA_SANDBOX_AT_SHUTDOWN\)"):
        kernel_sandbox({"DAYTONA_SANDBOX_AT_SHUTDOWN": "keep"})


def test_a_size_without_an_image_is_refused_in_words_of_the_settings(
    kernel_sandbox: Callable[[dict[str, str]], str], tmp_path: Path
) -> None:
    words = r"takes cpu \(DAYTONA_SANDBOX_CPU\) only together with an image"
    with (
        serving(tmp_path / "daytona", "--profile", "daytona") as variables,
        pytest.raises(SettingError, match=words),
    ):
        kernel_sandbox({**variables, "DAYTONA_SANDBOX_CPU": "1"})
