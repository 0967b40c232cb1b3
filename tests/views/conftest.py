from tests.browser import browser, jupyterlab, lab

__all__ = ["browser", "jupyterlab", "lab"]
