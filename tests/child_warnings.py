"""Warnings in the processes of kernels and embedded servers, which fail the test that started the process.

Python shows the warnings on the process's standard error. A sandbox does not inherit the variable, so a cell
prints what it always prints. A warning about another package's code is that package's to fix, and passes.
"""

from __future__ import annotations

import re

SHOW_WARNINGS = {"PYTHONWARNINGS": "default"}

_OURS = re.compile(r".*(?:daytona_kernel/\S+: \w+Warning: |: ResourceWarning: |DaytonaKernel).*")


def warnings_in(log: str) -> list[str]:
    """Return the lines with warnings about this project's code, and about files and sockets left open."""
    return [match[0] for line in log.splitlines() if "Warning: " in line and (match := _OURS.match(line))]
