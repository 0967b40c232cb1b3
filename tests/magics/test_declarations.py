"""The declarations of all magics, and README's table of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.magics.declarations import declare_all

if TYPE_CHECKING:
    from daytona_kernel.magics.magic import Command
    from daytona_kernel.magics.signature import Option, Positional

ROOT = Path(__file__).parent.parent.parent
COMMANDS = [command for magic in declare_all() for command in magic.commands]


def test_the_documentation_lists_the_declared_magics() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "magics-table", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.begin)
def test_every_command_and_argument_has_help(command: Command) -> None:
    assert command.summary.endswith(".")
    arguments: list[Option | Positional] = [*command.signature.positionals, *command.signature.options]
    assert all(argument.help for argument in arguments)


def test_help_names_every_option() -> None:
    for magic in declare_all():
        for command in magic.commands:
            assert all(f"--{option.name}" in magic.usage for option in command.signature.options)
