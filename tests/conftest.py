"""Fixtures for every test."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Everything here runs on asyncio."""
    return "asyncio"
