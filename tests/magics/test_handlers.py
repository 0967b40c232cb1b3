"""Handlers of magics without a kernel or a sandbox."""

from __future__ import annotations

import traceback

import pytest

from daytona_kernel.errors import CommandFailedError, DaytonaError, LocalCodeError, MagicUsageError
from daytona_kernel.magics.local import LocalMagics
from daytona_kernel.magics.outcome import finish
from daytona_kernel.magics.sandbox import SandboxMagic
from daytona_kernel.magics.session import SessionMagic
from daytona_kernel.magics.sh import ShellMagic
from daytona_kernel.wire.values import encode_value

from .recorded_call import RecordedCall

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
async def test_a_preview_needs_a_port(port: str) -> None:
    with pytest.raises(MagicUsageError, match="PORT is a number from 1 to 65535"):
        await SandboxMagic().preview(RecordedCall().call, port)


@pytest.mark.parametrize(
    ("line", "body", "message"),
    [("", None, "There is no command to run"), ("ls", "ls -l", "must be below the first line")],
)
async def test_sh_takes_one_script(line: str, body: str | None, message: str) -> None:
    call = RecordedCall(line, body).call
    with pytest.raises(MagicUsageError, match=message):
        await ShellMagic().sh(call, line, cwd=None, timeout=None, env=[], no_raise=False, live=False)


async def test_a_background_command_has_no_timeout() -> None:
    with pytest.raises(MagicUsageError, match="--timeout has no effect with --async"):
        await SessionMagic().run(RecordedCall().call, "s", "ls", async_=True, timeout=5)


async def test_the_kernels_own_sessions_are_reserved() -> None:
    with pytest.raises(MagicUsageError, match="reserved for the kernel"):
        await SessionMagic().create(RecordedCall().call, "daytona-kernel-x")


async def test_local_code_shares_its_variables_with_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYTONA_KERNEL_LOCAL", "1")
    magics = LocalMagics()
    cell = RecordedCall(body="x = 6 * 7\nprint('printed')\nx + 1")
    await magics.local(cell.call)
    assert cell.printed["stdout"] == "printed\n"
    assert cell.displayed == [{"text/plain": "43"}]
    copied = RecordedCall()
    await magics.put(copied.call, ["x"])
    assert copied.variables == {"x": encode_value(42)}
    with pytest.raises(DaytonaError, match="%%local has no variable 'y'"):
        await magics.put(copied.call, ["y"])


async def test_local_code_is_off_without_its_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAYTONA_KERNEL_LOCAL", raising=False)
    with pytest.raises(LocalCodeError, match="start Jupyter with DAYTONA_KERNEL_LOCAL=1") as raised:
        await LocalMagics().local(RecordedCall(body="1").call)
    frames = traceback.extract_tb(raised.tb)
    assert "local" in [frame.name for frame in frames]  # the handler has its name in tracebacks


@pytest.mark.parametrize(
    ("exit_code", "message"),
    [
        (3, "The command ended with exit status 3."),
        (127, "did not find it"),
        (-9, "A signal ended the command"),
    ],
)
async def test_a_failed_command_sets_its_status_and_raises(exit_code: int, message: str) -> None:
    cell = RecordedCall()
    with pytest.raises(CommandFailedError, match=message):
        await finish(cell.call, exit_code, may_fail=False)
    await finish(cell.call, exit_code, may_fail=True)
    assert cell.variables == {"_exit_code": exit_code}
