"""`%%code_run`: code in a runtime of its own, through `process.code_run`."""

from __future__ import annotations

import asyncio

from ..client.models import CodeRunParams
from ..errors import CommandFailedError, DaytonaTimeoutError, MagicUsageError
from . import process_tree
from .arguments import Expected, Option, Signature
from .call import Call
from .registry import Registry
from .sh import ENV, NO_RAISE, TIMEOUT, finish
from .timing import ticking

_LANGUAGES = ("python", "javascript", "typescript")


def _language(text: str) -> str:
    if text.lower() not in _LANGUAGES:
        raise ValueError(text)
    return text.lower()


def declare(registry: Registry) -> None:
    """Add `code_run` to a registry."""
    registry.words("language", _languages)

    @registry.magic(
        "code_run",
        Signature(
            options=(
                Option("language", "python, javascript or typescript", "L", _language, kind="language"),
                Option("argv", "an argument of the program, once for each", "ARG", repeated=True),
                ENV,
                TIMEOUT,
                NO_RAISE,
            ),
        ),
        cell_only=True,
    )
    async def code_run(
        call: Call,
        language: str | None,
        argv: list[str],
        env: list[tuple[str, str]],
        timeout: int | None,
        no_raise: bool,
    ) -> None:
        """Run the cell in a fresh runtime of its language, which shares no variables with the others.

        Without --language it is the sandbox's own language. Figures of matplotlib are shown. A status
        other than 0 fails the cell, and is in _exit_code; interrupting the cell ends the program.
        """
        if not (call.body or "").strip():
            raise MagicUsageError("There is no code to run below %%code_run.")
        sandbox = await call.sandbox()
        language = language or sandbox.language
        tag = process_tree.new_tag()
        params = CodeRunParams(argv=argv or None, env={**dict(env), **process_tree.mark(tag)})
        async with ticking(call, "Running for"):
            try:
                answer = await sandbox.process.code_run(call.body or "", params, timeout, language=language)
            except (asyncio.CancelledError, DaytonaTimeoutError):
                if not await process_tree.end_marked(sandbox.process, tag):
                    await call.print("The program did not end: it goes on in the sandbox.\n", "stderr")
                raise
        if not answer.started or answer.exit_code == 127:
            said = f"The sandbox has nothing that runs {language}; nothing was run."
            if not no_raise:
                raise CommandFailedError(said)
            await call.print(said + "\n", "stderr")
        elif answer.result:
            await call.print(answer.result)
        for chart in answer.artifacts.charts:
            if chart.png:
                title = chart.title or f"a {chart.type.replace('_', ' ')} chart"
                await call.display({"image/png": chart.png, "text/plain": f"<{title}>"})
        await finish(call, answer.exit_code, may_fail=no_raise)


async def _languages(_call: Call, _expected: Expected) -> list[str]:
    return list(_LANGUAGES)
