"""What tests need of the isolation on this machine."""

from __future__ import annotations

import os

import pytest

from daytona_kernel.server.isolation import choose_isolation


def needs_bubblewrap() -> None:
    """Skip a test unless bubblewrap isolates the sandboxes of the tests."""
    if choose_isolation(os.environ["DAYTONA_KERNEL_ISOLATION"]).name != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
