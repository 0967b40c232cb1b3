"""`%%code_run`: code in a fresh runtime of its own, through `process.code_run`."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from ..client import run_commands
from ..client.models import Chart, CodeRunParams
from ..errors import CommandFailedError, DaytonaTimeoutError, MagicUsageError
from .arguments import Expected, Option, Signature
from .sh import ENV, NO_RAISE, TIMEOUT, finish
from .shell import process_tree
from .timing import ticking

if TYPE_CHECKING:
    from .magic_call import MagicCall
    from .registry import Registry

_PROGRAMS = {"python": "python3", "javascript": "node", "typescript": "npx"}


def _language(text: str) -> str:
    if text not in run_commands.LANGUAGES:
        raise ValueError(text)
    return text


def declare(registry: Registry) -> None:
    """Add `code_run` to a registry."""
    registry.words("language", _languages)

    @registry.magic(
        "code_run",
        Signature(
            options=(
                Option(
                    "language",
                    ", ".join(run_commands.LANGUAGES[:-1]) + f" or {run_commands.LANGUAGES[-1]}",
                    "L",
                    _language,
                    kind="language",
                ),
                Option("argv", "the program's arguments, quoted as one word", "'A B'", shlex.split),
                ENV,
                TIMEOUT,
                NO_RAISE,
            )
        ),
        cell_only=True,
    )
    async def code_run(
        call: MagicCall,
        language: str | None,
        argv: list[str] | None,
        env: list[tuple[str, str]],
        timeout: int | None,
        no_raise: bool,
    ) -> None:
        """Run the cell in a fresh runtime of its language, and show what it prints when it has ended.

        It knows none of the notebook's variables, starts where commands of the sandbox start, and leaves
        nothing but files. Without --language it is of the sandbox's own. Figures that matplotlib shows
        appear below the text. A status other than 0 fails the cell, and is in _exit_code; interrupting
        the cell ends the code.
        """
        if not (call.body or "").strip():
            raise MagicUsageError("There is no code to run: put it below the line %%code_run.")
        process = (await call.sandbox()).process
        tag = process_tree.new_tag()
        params = CodeRunParams(argv, {**dict(env), **process_tree.mark(tag)})
        async with ticking(call, "Running for"):
            try:
                answer = await process.code_run(call.body or "", params, timeout, language=language)
            except (asyncio.CancelledError, DaytonaTimeoutError):
                # Daytona ends only what has timed out, and of that not what has left its group.
                if not await process_tree.end_marked(process, tag):
                    await call.print("The code did not end: it goes on in the sandbox.\n", "stderr")
                raise
        runs = language or process.code_toolbox.language
        missing = answer.exit_code == 127 and answer.result.rstrip().endswith("not found")
        if missing or not answer.started:
            raise CommandFailedError(
                f"The sandbox has no {_PROGRAMS[runs]}, which runs {runs}; nothing was run."
            )
        if answer.result:
            await call.print(answer.result)
        for chart in answer.artifacts.charts:
            await call.display(_bundle(chart))
        await finish(call, answer.exit_code, may_fail=no_raise, what="code")


def _bundle(chart: Chart) -> dict[str, str]:
    kind = chart.type.replace("_", " ").removesuffix(" chart")
    text = f"<{kind} chart{f': {chart.title}' if chart.title else ''}>"
    return {"text/plain": text} | ({"image/png": chart.png} if chart.png else {})


async def _languages(_call: MagicCall, _expected: Expected) -> list[str]:
    return list(run_commands.LANGUAGES)
