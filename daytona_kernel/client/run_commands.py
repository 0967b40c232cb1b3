"""How each language runs a piece of code from the shell: the page's `code_toolbox`.

Today's toolboxes do this themselves; these commands are for older ones, and for `exec`.
"""

from __future__ import annotations

import base64
import json
import shlex
from typing import Protocol

from ..errors import DaytonaBadRequestError
from .models import Chart, CodeRunParams, ExecuteResponse, ExecutionArtifacts

_ARTIFACT = "dtn_artifact_k39fd2:"


class CodeToolbox(Protocol):
    """One language."""

    @property
    def language(self) -> str: ...

    def get_run_command(self, code: str, params: CodeRunParams | None = None) -> str:
        """Return the shell command that runs this code."""
        ...

    def read_output(self, response: ExecuteResponse) -> ExecuteResponse:
        """Return the response of that command as `code_run` gives it: charts apart from the text."""
        ...


class _ShellToolbox:
    """Feeds the code to an interpreter, in base64 so that no quoting touches it."""

    def __init__(self, language: str, interpreter: str) -> None:
        self.language = language
        self._interpreter = interpreter

    def get_run_command(self, code: str, params: CodeRunParams | None = None) -> str:
        encoded = base64.b64encode(code.encode()).decode()
        command = [self._interpreter, *map(shlex.quote, (params and params.argv) or [])]
        # printf is the shell's own, so the code's length has no limit.
        return f"printf %s {encoded} | base64 -d | {' '.join(command)}"

    def read_output(self, response: ExecuteResponse) -> ExecuteResponse:
        charts: list[Chart] = []
        kept: list[str] = []
        for line in response.result.splitlines(keepends=True):
            chart = _read_artifact(line)
            if chart is None:
                kept.append(line)
            else:
                charts.append(chart)
        result = "".join(kept)
        return ExecuteResponse(response.exit_code, result, ExecutionArtifacts(result, charts))


def _read_artifact(line: str) -> Chart | None:
    if not line.startswith(_ARTIFACT):
        return None
    try:
        artifact = json.loads(line.removeprefix(_ARTIFACT))
        return Chart.from_json(artifact["value"]) if artifact["type"] == "chart" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


_TOOLBOXES = {
    "python": _ShellToolbox("python", "python3 -u -"),
    "javascript": _ShellToolbox("javascript", "node -"),
    "typescript": _ShellToolbox("typescript", "npx ts-node"),
}
LANGUAGES = tuple(_TOOLBOXES)


def code_toolbox(language: str | None = None) -> CodeToolbox:
    """Return the toolbox of a language: "python" (also None), "javascript" or "typescript"."""
    try:
        return _TOOLBOXES[str(language or "python").lower()]
    except KeyError:
        known = ", ".join(LANGUAGES)
        raise DaytonaBadRequestError(
            f"There is no language {language!r} to run; there are {known}."
        ) from None
