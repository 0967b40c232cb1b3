"""Kernels whose sandbox is declared before they start: in notebook, kernelspec and user's file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from daytona_kernel import Daytona
from daytona_kernel.settings import user_file
from daytona_kernel.settings.resolution import KERNELSPEC_VARIABLE
from tests.served import config, served

from .driver import running_kernel

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["served"]


def test_a_sandbox_is_what_notebook_kernelspec_and_file_declare(
    served: dict[str, str], tmp_path: Path
) -> None:
    notebook = tmp_path / "analysis.ipynb"
    metadata = {"daytona": {"cpu": 1, "env": {"STAGE": "from the notebook"}}}
    notebook.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    user_file.write(tmp_path / user_file.NAME, {"cpu": 7, "auto_stop": 77, "auto_delete": 0})
    places = {
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JPY_SESSION_NAME": str(notebook),
        KERNELSPEC_VARIABLE: json.dumps({"memory": 1}),
    }
    with running_kernel(**served, **places) as kernel, Daytona(config(served)) as daytona:
        assert kernel.run("import os; os.environ['STAGE']").result == "'from the notebook'"
        (sandbox,) = daytona.list()
        made = sandbox.instance
        assert (made.cpu, made.memory, made.auto_stop_interval, made.auto_delete_interval) == (1, 1, 77, 0)
        (about,) = kernel.run("%daytona").contents("display_data")
        shown = " ".join(about["data"]["text/plain"].split())
        for words in ("cpu 1 (notebook)", "memory 1 (kernelspec)", "auto_stop 77 (user's file)", "env STAGE"):
            assert words in shown
        assert "from the notebook" not in shown

        notebook.write_text(notebook.read_text().replace('"cpu"', '"volumes"'))
        assert "volumes is never taken from here" in kernel.run("%sandbox new").error["evalue"]
        assert kernel.run("os.environ['STAGE']").result == "'from the notebook'"


def test_a_kernel_starts_with_a_wrong_file_and_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / user_file.NAME).write_text('{\n  "cpu": "many"\n}\n')
    with running_kernel(JUPYTER_CONFIG_DIR=str(tmp_path)) as kernel:
        error = kernel.run("1 + 1").error
        assert error["ename"] == "SettingError"
        assert f"{tmp_path / user_file.NAME}, line 2: cpu takes a number of cores" in error["evalue"]
        assert len(error["traceback"]) == 1
        assert kernel.request("kernel_info_request", {})["status"] == "ok"
