"""`%%code_run`: code in a fresh process, through `process.code_run`."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from ..client import run_commands
from ..client.models.processes import Chart, CodeRunParams
from ..errors import CommandFailedError, DaytonaTimeoutError, MagicUsageError
from .magic import cell_magic, completes
from .options import ENV, NO_RAISE, TIMEOUT
from .outcome import COMMAND_NOT_FOUND, finish
from .reach import Reach
from .shell import process_tree
from .signature import Option, Signature
from .timing import ticking

if TYPE_CHECKING:
    from ..client.models.processes import ExecuteResponse
    from .arguments import Expected
    from .magic_call import MagicCall

_STILL_RUNS = "The code did not end; it still runs in the sandbox. %sandbox stop ends it, and Python too.\n"
_PROGRAMS = {"python": "python3", "javascript": "node", "typescript": "npx"}


def _parse_language(text: str) -> str:
    if text not in run_commands.LANGUAGES:
        raise ValueError(text)
    return text


class CodeRunMagic:
    """`%%code_run`."""

    @cell_magic(
        "code_run",
        Signature(
            options=(
                Option(
                    "language",
                    ", ".join(run_commands.LANGUAGES[:-1]) + f" or {run_commands.LANGUAGES[-1]}",
                    "L",
                    _parse_language,
                    kind="language",
                ),
                Option("argv", "the program's arguments, quoted as one word", "'A B'", shlex.split),
                ENV,
                TIMEOUT,
                NO_RAISE,
            )
        ),
        Reach.SANDBOX,
    )
    async def code_run(
        self,
        call: MagicCall,
        language: str | None,
        argv: list[str] | None,
        env: list[tuple[str, str]],
        timeout: int | None,
        no_raise: bool,
    ) -> None:
        """Run the cell in a fresh process of its language, and show the output when it ends.

        The code has no access to the notebook's variables. It starts in the sandbox's default directory,
        and only the files that it writes remain. Without --language, it runs in the sandbox's language.
        Figures that matplotlib shows appear below the text, unless a word of --argv has blanks or signs
        of the shell. A status other than 0 fails the cell and is in _exit_code. Interrupting the cell ends
        the code.
        """
        if not (call.body or "").strip():
            raise MagicUsageError("There is no code to run: put it below the line %%code_run.")
        process = (await call.sandbox()).process
        tag = process_tree.new_tag()
        secrets = call.kernel_sandbox.secrets.variables
        params = CodeRunParams(argv, {**secrets, **dict(env), **process_tree.mark(tag)})
        async with ticking(call, "Running for"):
            try:
                answer = await process.code_run(call.body or "", params, timeout, language=language)
            except (asyncio.CancelledError, DaytonaTimeoutError):
                # Daytona ends code only at its timeout, and then only the code's process group.
                if not await process_tree.end_marked(process, tag):
                    await call.print(
                        _STILL_RUNS,
                        "stderr",
                    )
                raise
        _require_program(answer, language or process.code_toolbox.language)
        if answer.result:
            await call.print(answer.result)
        for chart in answer.artifacts.charts:
            await call.display(_bundle(chart))
        await finish(call, answer.exit_code, may_fail=no_raise, subject="code")

    @completes("language", Reach.SANDBOX)
    async def languages(self, _call: MagicCall, _expected: Expected) -> list[str]:
        """Return the languages that Daytona runs."""
        return list(run_commands.LANGUAGES)


def _require_program(answer: ExecuteResponse, language: str) -> None:
    """Raise CommandFailedError if the sandbox lacks the program that runs a language."""
    not_found = answer.exit_code == COMMAND_NOT_FOUND and answer.result.rstrip().endswith("not found")
    if not_found or not answer.started:
        raise CommandFailedError(
            f"The sandbox has no {_PROGRAMS[language]}, which runs {language}; the code was not run."
        )


def _bundle(chart: Chart) -> dict[str, str]:
    """Return the MIME bundle of a chart: its picture, and a description as text."""
    kind = chart.type.replace("_", " ").removesuffix(" chart")
    text = f"<{kind} chart{f': {chart.title}' if chart.title else ''}>"
    return {"text/plain": text} | ({"image/png": chart.png} if chart.png else {})
