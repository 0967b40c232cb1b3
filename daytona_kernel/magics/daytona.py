"""`%daytona`: where the cells run, and the settings in force."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from .._version import __version__
from .magic import magic
from .reach import Reach
from .sandbox import sandbox_rows
from .signature import Signature
from .table import table

if TYPE_CHECKING:
    from ..config import Setting
    from .magic_call import MagicCall

# Prints one line for each program: its path and version.
_PROGRAMS = r"""
for name in python pip; do
    path=$(command -v $name) || { echo "not found"; continue; }
    case $name in
        python) echo "$path ($("$path" -c 'import platform; print(platform.python_version())' 2>&1))" ;;
        pip) echo "$path ($("$path" --version 2>/dev/null | cut -d' ' -f2,4-))" ;;
    esac
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
        python, pip = [*answer.result.splitlines(), "", ""][:2]
        settings = call.kernel_sandbox.daytona.settings
        rows = [
            ("Cells run", call.kernel_sandbox.place),
            ("Version", f"daytona-kernel {__version__}"),
            *sandbox_rows(call, sandbox),
            ("Cells use", call.python or "no interpreter at the moment"),
            ("`python` is", python),
            ("`pip` is", pip),
        ]
        for each in fields(settings):
            setting: Setting = getattr(settings, each.name)
            rows.append((setting.name, f"{setting.shown} ({setting.source})"))
        await call.display(table(("", ""), rows, code=(1,)))
