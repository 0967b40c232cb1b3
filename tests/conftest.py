"""Fixtures for every test."""

import pytest

from tests.browser import browser, jupyterlab, lab

__all__ = ["browser", "jupyterlab", "lab"]


@pytest.fixture
def anyio_backend() -> str:
    """Everything here runs on asyncio."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with a browser last: Playwright keeps an event loop running in the main thread."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
