"""The arguments and results of commands and code that run in their own process."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Chart:
    """A figure that code in `code_run` drew with Matplotlib.

    type: "line", "scatter", "bar", "pie", "box_and_whisker", "composite_chart" or "unknown".
    title: None for a figure without a title.
    png: the picture as base64; None for none.
    elements: the points, bars or slices; for a composite chart, its charts.
    data: the chart's JSON as Daytona sent it.
    """

    type: str
    title: str | None = None
    png: str | None = field(default=None, repr=False)
    elements: list[Any] = field(default_factory=list, repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def png_bytes(self) -> bytes | None:
        """The picture's bytes; None for none."""
        return None if self.png is None else base64.b64decode(self.png)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Chart:
        """Return a chart from the JSON of Daytona's API."""
        kind = data.get("type") or "unknown"
        elements = data.get("elements") or []
        if kind == "composite_chart":
            elements = [cls.from_json(element) for element in elements]
        return cls(kind, data.get("title"), data.get("png"), elements, data)


@dataclass(frozen=True)
class ExecutionArtifacts:
    """The output of an execution: `stdout`, equal to its `result`, and `charts`."""

    stdout: str = ""
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class ExecuteResponse:
    """The outcome of `exec` or `code_run`.

    exit_code: the status; -1 if a signal ended the shell, or the shell could not be started.
    result: the output; for `exec`, stdout and stderr in one text.
    artifacts: the output and the charts that the code drew.
    """

    exit_code: int
    result: str = ""
    artifacts: ExecutionArtifacts = field(default_factory=ExecutionArtifacts)

    @property
    def started(self) -> bool:
        """Whether the command started. It does not if its `cwd` does not exist."""
        return not (self.exit_code == -1 and self.result.startswith("fork/exec "))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExecuteResponse:
        """Return a response from the JSON of Daytona's API."""
        result = data.get("result") or ""
        charts = (data.get("artifacts") or {}).get("charts") or []
        exit_code = data.get("exitCode", data.get("code"))
        return cls(
            exit_code=0 if exit_code is None else int(exit_code),
            result=result,
            artifacts=ExecutionArtifacts(result, [Chart.from_json(chart) for chart in charts]),
        )


@dataclass
class CodeRunParams:
    """The arguments (`sys.argv[1:]`) and environment variables of code in `code_run`; None for none."""

    argv: list[str] | None = None
    env: dict[str, str] | None = field(default=None, repr=False)
