"""The shell commands that run code in each language: the `code_toolbox` of Daytona's Process page.

Current toolboxes run code without them; older ones and `process.exec` need them. So do arguments that a shell
would change: Daytona's toolbox puts them into a shell command as they are.
"""

from __future__ import annotations

import base64
import json
import shlex
from typing import TYPE_CHECKING, Protocol

from ..errors import DaytonaBadRequestError
from ..wire.conventions import ARTIFACT_MARK, OWN_ARGUMENTS, RUN_TYPESCRIPT
from .models.processes import Chart, CodeRunParams, ExecuteResponse, ExecutionArtifacts

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    """A language, and the shell command that runs code from its stdin.

    Base64 protects the code from the shell.
    command: ARGUMENTS stands for the arguments. before: code in front of the user's.
    """

    def __init__(self, language: str, command: str, before: str = "") -> None:
        self.language = language
        self._command = command
        self._before = before

    def get_run_command(self, code: str, params: CodeRunParams | None = None) -> str:
        encoded = base64.b64encode((self._before + code).encode()).decode()
        arguments = shlex.join((params and params.argv) or [])
        # printf is a builtin of the shell, so the length of its argument is not limited.
        return f"printf %s {encoded} | base64 -d | {self._command.replace('ARGUMENTS', arguments)}"

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


def is_changed_by_shells(arguments: Sequence[str]) -> bool:
    """Return whether a shell would split or change one of the arguments."""
    return any(shlex.quote(each) != each for each in arguments)


def _read_artifact(line: str) -> Chart | None:
    if not line.startswith(ARTIFACT_MARK):
        return None
    try:
        artifact = json.loads(line.removeprefix(ARTIFACT_MARK))
        return Chart.from_json(artifact["value"]) if artifact["type"] == "chart" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


_TOOLBOXES = {
    "python": _ShellToolbox("python", "python3 -u - ARGUMENTS"),
    "javascript": _ShellToolbox("javascript", "node - ARGUMENTS", OWN_ARGUMENTS),
    "typescript": _ShellToolbox(
        "typescript", f"bash -c {shlex.quote(RUN_TYPESCRIPT)} typescript ARGUMENTS", OWN_ARGUMENTS
    ),
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
