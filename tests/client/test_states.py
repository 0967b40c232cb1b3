"""Every state of a sandbox has a row in the table, and each row has its effect on a kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from daytona_api_client.models.sandbox_state import SandboxState

from daytona_kernel import AsyncDaytona, DaytonaConfig, DaytonaError
from daytona_kernel.client.states import TABLE, Course, Processes, state_of
from daytona_kernel.kernel.host import readiness
from daytona_kernel.kernel.host.progress import Progress

from .conftest import KEY
from .faulty_server import FaultyServer, reply

if TYPE_CHECKING:
    from daytona_kernel.client.sandbox import AsyncSandbox

# The states of an API that is newer than the SDK of the tests.
NEWER = {"pausing", "paused", "resuming", "forking", "snapshotting"}
USED = {"started": Course.USE, "stopped": Course.START, "archived": Course.START, "paused": Course.RESUME}
LAST = {"error": Course.GIVE_UP, "build_failed": Course.GIVE_UP}
GONE = {"destroyed": Course.FORGET, "destroying": Course.FORGET}


def test_every_state_of_the_api_has_a_row() -> None:
    known = {each.value for each in SandboxState if "unknown_default" not in each.value}
    assert known | NEWER == set(TABLE)
    assert len(TABLE) == 22


def test_a_sandbox_is_forgotten_only_when_it_was_deleted() -> None:
    courses = {name: row.course for name, row in TABLE.items()}
    others = {name: Course.WAIT for name in courses if name not in USED | LAST | GONE}
    assert courses == USED | LAST | GONE | others
    assert state_of("a state of a newer API").course is Course.WAIT


def test_processes_are_frozen_only_around_a_pause() -> None:
    frozen = {name for name, row in TABLE.items() if row.processes is Processes.FROZEN}
    assert frozen == {"pausing", "paused", "resuming"}
    ended = {name for name, row in TABLE.items() if row.processes is Processes.ENDED}
    assert ended == {*("stopping", "stopped", "archiving", "archived", "restoring"), *LAST, *GONE}


def described(faulty: FaultyServer, state: str) -> dict[str, str]:
    return {"id": "s", "name": "s", "state": state, "toolboxProxyUrl": f"{faulty.url}/toolbox"}


@pytest.mark.parametrize("state", sorted(TABLE))
def test_what_a_kernel_does_in_each_state(
    faulty: FaultyServer, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox leaves a passing state for "started"; nothing else does, before a start."""
    monkeypatch.setattr(readiness, "_SETTLING_POLL", 0.01)
    seen = [state, state, "started"] if TABLE[state].course is Course.WAIT else [state]

    faulty.on("GET", "/sandbox/s", *(reply(200, described(faulty, each)) for each in seen))
    faulty.on("POST", "/sandbox/s/start", reply(200, described(faulty, "started")))

    async def use() -> AsyncSandbox:
        async with AsyncDaytona(DaytonaConfig(api_key=KEY, api_url=faulty.url)) as daytona:
            found = await daytona.get("s")
            course = await readiness.settle(found, Progress())
            await readiness.make_ready(found, course, Progress(), [])
            return found

    if TABLE[state].course in (Course.GIVE_UP, Course.FORGET):
        with pytest.raises(DaytonaError, match=f"its state is '{state}'"):
            asyncio.run(use())
        return
    assert asyncio.run(use()).state == "started"
    assert faulty.count("POST", "/sandbox/s/start") == (TABLE[state].course in (Course.START, Course.RESUME))


def test_a_state_that_does_not_pass_is_said(faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_SETTLING_POLL", 0.01)
    monkeypatch.setattr(readiness, "_SETTLING_SECONDS", 0.1)
    faulty.on("GET", "/sandbox/s", reply(200, described(faulty, "resizing")))

    async def use() -> None:
        async with AsyncDaytona(DaytonaConfig(api_key=KEY, api_url=faulty.url)) as daytona:
            await readiness.settle(await daytona.get("s"), Progress())

    with pytest.raises(DaytonaError, match="has been 'resizing' for"):
        asyncio.run(use())
