"""The shell commands that run code in each language: the `code_toolbox` of Daytona's Process page.

Current toolboxes run code without them; older ones and `process.exec` need them.
"""

from __future__ import annotations

import base64
import json
import shlex
from typing import Protocol

from ..errors import DaytonaBadRequestError
from ..wire.conventions import ARTIFACT_MARK
from .models.processes import Chart, CodeRunParams, ExecuteResponse, ExecutionArtifacts


class CodeToolbox(Protocol):
    """The commands of one language."""

    @property
    def language(self) -> str:
        """The language's name: "python", "javascript" or "typescript"."""
        ...

    def get_run_command(self, code: str, params: CodeRunParams | None = None) -> str:
        """Return the shell command that runs `code` with the arguments of `params`."""
        ...

    def read_output(self, response: ExecuteResponse) -> ExecuteResponse:
        """Return the command's response in the form of `code_run`, with the charts taken out of the text."""
        ...


class _ShellToolbox:
    """A language whose interpreter reads code from stdin. Base64 protects the code from the shell."""

    def __init__(self, language: str, interpreter: str) -> None:
        self.language = language
        self._interpreter = interpreter

    def get_run_command(self, code: str, params: CodeRunParams | None = None) -> str:
        encoded = base64.b64encode(code.encode()).decode()
        command = [self._interpreter, *map(shlex.quote, (params and params.argv) or [])]
        # printf is a builtin of the shell, so the length of its argument is not limited.
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
    if not line.startswith(ARTIFACT_MARK):
        return None
    try:
        artifact = json.loads(line.removeprefix(ARTIFACT_MARK))
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
    """Return the toolbox of a language: "python", "javascript" or "typescript"; None means "python".

    Raises DaytonaBadRequestError for another language.
    """
    try:
        return _TOOLBOXES[str(language or "python").lower()]
    except KeyError:
        known = ", ".join(LANGUAGES)
        raise DaytonaBadRequestError(f"Unknown language {language!r}. Known languages: {known}.") from None
