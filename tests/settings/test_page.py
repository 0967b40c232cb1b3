"""docs/environment.md shows the table of settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from daytona_kernel.settings.account import ACCOUNT
from daytona_kernel.settings.declaration import Origin
from daytona_kernel.settings.machine import MACHINE
from daytona_kernel.settings.sandbox import SANDBOX
from daytona_kernel.settings.table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "settings-table", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_settings_share_a_name_or_a_variable() -> None:
    settings = [*ACCOUNT, *MACHINE, *SANDBOX]
    assert len(TABLE) == len({each.variable for each in settings}) == len(settings)


def test_the_page_names_the_places_in_their_order() -> None:
    listed = re.findall(r"^\d\. \*(.+?)\*", PAGE, re.MULTILINE)
    assert listed == [origin.value for origin in Origin]


def test_a_notebook_decides_nothing_about_the_machine_the_account_and_lasting_costs() -> None:
    from_notebook = {each.name for each in TABLE.values() if Origin.NOTEBOOK in each.origins}
    assert from_notebook == {
        *("snapshot", "image", "language", "cpu", "memory", "disk", "gpu", "target", "env"),
        *("packages", "cwd", "python"),
    }
