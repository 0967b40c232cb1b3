"""Code in a sandbox that tampers with the pipes of a session. Nothing outside of the sandbox changes."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import new_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.conftest import Toolbox


@pytest.fixture(params=["toolbox", "open_toolbox"], ids=["isolated", "not isolated"])
def either(request: pytest.FixtureRequest) -> Toolbox:
    toolbox: Toolbox = request.getfixturevalue(request.param)
    return toolbox


@pytest.fixture
def shell(either: Toolbox) -> Iterator[str]:
    with new_session(either) as name:
        yield name


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the machine with files that are called like pipes."""
    directory = tmp_path / "outside"
    directory.mkdir()
    for number in range(1, 40):
        for name in ("in", "out", "err"):
            (directory / f"{number}.{name}").write_text("canary")
    return directory


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() if path.is_file() else "changed" for path in directory.iterdir()}


# The path of a command's output contains the directory of the session's pipes.
PIPES = 'pipes=$(dirname "$(readlink /proc/$$/fd/1)"); '


def test_a_link_in_the_place_of_the_pipes_leads_nowhere(either: Toolbox, shell: str, outside: Path) -> None:
    before = contents(outside)
    attack = PIPES + f'mv "$pipes" "$pipes.old"; ln -s "{outside}" "$pipes"; rm -rf "$pipes.old"; :'
    either.run(shell, attack)
    for number in range(3):
        # Each command ends, whether or not its pipes are there.
        answer = either.run(shell, f"echo {number}")
        assert answer["exitCode"] in (-1, 0, 1)
    assert either.delete(f"/process/session/{shell}").status_code == 204
    assert contents(outside) == before


@pytest.mark.parametrize(
    "attack",
    [
        'rm -rf "$pipes"/*',
        'rm -rf "$pipes"',
        'rm -rf "$pipes"; touch "$pipes"',
        'rm -f "$pipes"/*; for n in 2 3 4; do touch "$pipes/$n.out"; mkdir "$pipes/$n.err"; done',
        'chmod 0 "$pipes"',
        "printf 'no end of line' > $status",
        "printf '2 0\\n3 0\\n\\0\\377' > $status",
    ],
)
def test_a_command_whose_pipes_are_gone_ends(either: Toolbox, shell: str, attack: str) -> None:
    # While a command runs, bash keeps its own output, which is the status pipe, at a descriptor from 10 on.
    find = "for fd in /proc/$$/fd/1?; do [ -p $fd ] && status=$fd; done; "
    either.run(shell, PIPES + find + attack + "; :")
    for _ in range(3):
        assert either.run(shell, "echo hello")["exitCode"] is not None
    name = str(uuid.uuid4())  # the other sessions of the sandbox are unharmed
    assert either.post("/process/session", json={"sessionId": name}).status_code == 201
    assert either.run(name, "echo hello")["stdout"] == "hello\n"
    either.delete(f"/process/session/{name}")


def test_an_isolated_sandbox_cannot_write_to_the_directory_of_the_pipes(
    toolbox: Toolbox, session: str
) -> None:
    done = toolbox.run(
        session, PIPES + 'touch "$pipes/x"; mv "$pipes" "$pipes.old"; rm -f "$pipes"/*; ls "$pipes"'
    )
    # Bubblewrap shows the directory read-only. With Landlock it cannot be opened.
    assert len(re.findall("Read-only file system|Permission denied", done["stderr"])) >= 3
    assert toolbox.run(session, "echo hello")["stdout"] == "hello\n"
