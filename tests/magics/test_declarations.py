"""What the declarations promise of every magic, and README's table of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.magics.declarations import declared

if TYPE_CHECKING:
    from daytona_kernel.magics.registry import Command

ROOT = Path(__file__).parent.parent.parent
COMMANDS = [(begin, command) for magic in declared() for begin, _, command in magic.named]


def test_the_readme_lists_what_is_declared() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "magics-table", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("begin", "command"), COMMANDS, ids=[begin for begin, _ in COMMANDS])
def test_every_command_says_what_it_does_and_takes(begin: str, command: Command) -> None:
    assert command.summary.endswith(".")
    assert all(each.help for each in (*command.signature.positionals, *command.signature.options))


def test_help_names_every_option() -> None:
    for magic in declared():
        for _, _, command in magic.named:
            assert all(f"--{option.name}" in magic.usage for option in command.signature.options)
