"""The kernel's sandbox at a server that the kernel did not start. Sandboxes can outlive kernels there."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import (
    AsyncDaytona,
    CreateSandboxParams,
    Daytona,
    DaytonaConfig,
    DaytonaTimeoutError,
    Sandbox,
)
from daytona_kernel.kernel.host import created_sandboxes
from daytona_kernel.kernel.host.handover import HandoverFile
from daytona_kernel.kernel.host.kernel_sandbox import KernelSandbox
from daytona_kernel.server.box.python_environment import base_python
from tests.conftest import on_daytona
from tests.served import config, served

from .driver import running_kernel, wait_until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["served"]


def sandboxes(served: dict[str, str]) -> list[str]:
    with Daytona(config(served)) as daytona:
        return [sandbox.id for sandbox in daytona.list()]


def test_a_kernel_creates_one_sandbox_and_deletes_it(served: dict[str, str]) -> None:
    with running_kernel(**served) as driver:
        assert driver.run("1 + 1").result == "2"
        assert len(sandboxes(served)) == 1
        answer = driver.run("import os; sorted(os.environ)")
        assert served["DAYTONA_API_KEY"] not in str(driver.run("dict(os.environ)").messages)
        assert "DAYTONA_API_KEY" not in answer.result
    wait_until(lambda: sandboxes(served) == [], what="the sandbox was not deleted")


def test_the_sandbox_of_the_environment_variable_is_kept(served: dict[str, str]) -> None:
    with Daytona(config(served)) as daytona:
        sandbox = daytona.create()
        try:
            _use_twice(served, sandbox)
        finally:
            sandbox.delete()


def _use_twice(served: dict[str, str], sandbox: Sandbox) -> None:
    for _ in range(2):
        with running_kernel(**served, DAYTONA_SANDBOX_ID=sandbox.id) as driver:
            assert driver.run("import os; os.environ['DAYTONA_SANDBOX_ID']").result == repr(sandbox.id)
            driver.run("open('note', 'a').write('x')")
    assert sandbox.process.exec("cat note").result == "xx"
    assert sandbox.process.list_sessions() == []


def test_a_refused_key_is_reported_in_one_sentence(served: dict[str, str]) -> None:
    with running_kernel(**{**served, "DAYTONA_API_KEY": "wrong-key-1234"}) as driver:
        answer = driver.run("1 + 1")
        assert answer.error["ename"] == "DaytonaAuthenticationError"
        assert "refused the API key" in answer.error["evalue"]
        assert "wrong-key-1234" not in str(answer.messages)
        assert driver.request("kernel_info_request", {})["status"] == "ok"


def test_a_deleted_sandbox_is_reported_and_replaced(served: dict[str, str]) -> None:
    config = DaytonaConfig(api_key=served["DAYTONA_API_KEY"], api_url=served["DAYTONA_API_URL"])
    with running_kernel(**served) as driver, Daytona(config) as daytona:
        driver.run("x = 1")
        (sandbox_id,) = sandboxes(served)
        deleted = False

        def delete(message: dict[str, Any]) -> None:
            nonlocal deleted
            if message["msg_type"] == "stream" and not deleted:
                deleted = True
                daytona.get(sandbox_id).delete()

        answer = driver.run("print('go', flush=True); import time; time.sleep(60)", delete)
        assert answer.error["ename"] == "InterpreterLostError"
        assert driver.run("'x' in globals()").result == "False"
        (other,) = sandboxes(served)
        assert other != sandbox_id
    assert os.environ.get("DAYTONA_API_KEY") is None


def test_a_sandbox_without_an_interpreter_is_usable(served: dict[str, str]) -> None:
    with Daytona(config(served)) as daytona:
        # This sandbox finds no Python, and none of the programs that write the agent.
        sandbox = daytona.create(CreateSandboxParams(env_vars={"PATH": "/nowhere"}))
        try:
            with running_kernel(**served, DAYTONA_SANDBOX_ID=sandbox.id) as driver:
                assert driver.run("%sh echo $((40 + 2))").stdout == "42\n"
                assert driver.run("%sh exit 4").error["ename"] == "CommandFailedError"
                assert driver.run("print(1)").reply["status"] == "error"
                driver.run("%session run default cd /usr")
                assert driver.run("%%session\npwd").stdout == "/usr\n"
                (table,) = driver.run("%session list").contents("display_data")
                assert "exited 0" in table["data"]["text/plain"]
                (about,) = driver.run("%daytona").contents("display_data")
                assert "no interpreter at the moment" in about["data"]["text/plain"]
                assert driver.run("%sandbox jump").error["ename"] == "MagicUsageError"
        finally:
            sandbox.delete()


def test_a_cell_that_waits_for_an_installation_can_be_interrupted(served: dict[str, str]) -> None:
    with Daytona(config(served)) as daytona:
        # The sandbox's Python sees no packages, and its installer never ends.
        sandbox = daytona.create(CreateSandboxParams(env_vars={"PATH": "/tmp/bin:/usr/bin:/bin"}))
        try:
            for name, command in {"python3": f'exec {base_python()} -S "$@"', "uv": "sleep 600"}.items():
                made = sandbox.process.exec(
                    f"mkdir -p /tmp/bin; printf '%s\\n' '#!/bin/sh' '{command}' > /tmp/bin/{name}; "
                    f"chmod +x /tmp/bin/{name}"
                )
                assert made.exit_code == 0, made.result
            with running_kernel(**served, DAYTONA_SANDBOX_ID=sandbox.id) as driver:
                interrupted = False

                def interrupt(message: dict[str, Any]) -> None:
                    nonlocal interrupted
                    if "Installing ipykernel" in str(message["content"]) and not interrupted:
                        interrupted = True
                        driver.manager.interrupt_kernel()

                answer = driver.run("1 + 1", interrupt)
                assert interrupted
                assert answer.error["ename"] == "KeyboardInterrupt"
                assert "nothing of it has run" in answer.error["evalue"]
                assert driver.run("%sh echo usable").stdout == "usable\n"
        finally:
            sandbox.delete()


@on_daytona
def test_a_sandbox_that_starts_too_late_does_not_stay(
    profiled: DaytonaConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(created_sandboxes, "_START_SECONDS", 0.01)

    async def create() -> None:
        async with AsyncDaytona(profiled) as daytona:
            created = created_sandboxes.CreatedSandboxes()
            with pytest.raises(DaytonaTimeoutError, match="so it is deleted"):
                await created.create(daytona, CreateSandboxParams())
            await created.delete_unused()
            async with asyncio.timeout(20):
                while [sandbox async for sandbox in daytona.list()]:
                    await asyncio.sleep(0.05)

    asyncio.run(create())


def test_refresh_activity_updates_the_time_of_the_last_activity(
    served: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in served.items():
        monkeypatch.setenv(name, value)

    async def refresh() -> tuple[str | None, str | None]:
        kernel_sandbox = KernelSandbox(HandoverFile(tmp_path / "kernel.json"), Future())
        sandbox = await kernel_sandbox.sandbox()
        before = sandbox.instance.last_activity_at
        await kernel_sandbox.refresh_activity()
        await sandbox.refresh_data()
        await kernel_sandbox.leave(restart=False, interpreter_ended=True)
        return before, sandbox.instance.last_activity_at

    before, after = asyncio.run(refresh())
    assert before is not None
    assert after is not None
    assert after > before
