"""An empty configuration directory, and a notebook with metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel.settings import user_file

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Places:
    """The files from which settings come, and the environment that names them."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "JUPYTER_CONFIG_DIR": str(self.folder),
            "JPY_SESSION_NAME": str(self.folder / "analysis.ipynb"),
        }

    @property
    def file(self) -> Path:
        return self.folder / user_file.NAME

    def write_notebook(self, settings: Any) -> None:
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": '{"daytona": {"cpu": 9}}'}
        metadata = {"kernelspec": {"name": "daytona"}, "daytona": settings}
        notebook = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / "analysis.ipynb").write_text(json.dumps(notebook))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)
