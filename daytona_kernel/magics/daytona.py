"""`%daytona`: where the cells run, and the settings in force."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from .._version import __version__
from ..settings.machine import MACHINE
from ..settings.resolution import process_settings
from .magic import magic
from .reach import Reach
from .sandbox import sandbox_rows
from .signature import Signature
from .table import Code, table

if TYPE_CHECKING:
    from ..config import Setting
    from .magic_call import MagicCall

# Prints one line for each program: its version and its path.
_PROGRAMS = r"""
for name in python pip; do
    path=$(command -v $name) || { echo; continue; }
    echo "$("$path" --version 2>/dev/null | head -n 1 | cut -d' ' -f2)" "$path"
done
"""


class DaytonaMagic:
    """`%daytona`."""

    @magic("daytona", Signature(), Reach.SANDBOX)
    async def daytona(self, call: MagicCall) -> None:
        """Show where the cells run, which Python they use, and the settings in force."""
        sandbox = await call.sandbox()
        await sandbox.refresh_data()
        answer = await sandbox.process.exec(_PROGRAMS, cwd=call.cwd, env=call.environ or None)
        programs = zip(("python", "pip"), [*answer.result.splitlines(), "", ""], strict=False)
        settings = call.kernel_sandbox.daytona.settings
        rows = [
            ("Cells run", str(call.kernel_sandbox.place)),
            ("Version", f"daytona-kernel {__version__}"),
            *sandbox_rows(call, sandbox),
            ("Cells use", Code(call.python) if call.python else "no interpreter at the moment"),
            *(_program_row(name, found) for name, found in programs),
        ]
        for each in fields(settings):
            setting: Setting = getattr(settings, each.name)
            rows.append((setting.name, f"{setting.shown} ({setting.source})"))
        found = [*process_settings(MACHINE).values(), *call.kernel_sandbox.settings.values()]
        rows += [(each.name, f"{each.shown} ({each.source})") for each in found]
        await call.display(table(("", ""), rows))


def _program_row(name: str, found: str) -> tuple[str, str]:
    version, _, path = found.partition(" ")
    return (f"{name} {version} in a shell", Code(path)) if path else (f"{name} in a shell", "not found")
