"""Environment variables for a command of a session, in no command's text: a toolbox keeps and lists that.

The variables go to the sandbox beside a one-off command, as its environment. That command writes them to a
file that only its owner can read. The shell of the session's command reads and removes the file before it
does anything else.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ...errors import CommandFailedError, DaytonaError
from ...wait_limit import limited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from ...client.models.processes import ExecuteResponse
    from ...client.process import AsyncProcess

# The directory of the files. The variable names another one where /tmp is not the sandbox's own.
PLACE = '"${DAYTONA_TMP:-/tmp}"'
FILE = f"{PLACE}/.TAG.env"
# The part of a command with the tag TAG that takes its variables.
TAKE = f"[ ! -e {FILE} ] || {{ command . {FILE}; command -p rm -f {FILE}; }}"

_ANSWER_SECONDS = limited(60.0)
_WRITE = f"""
umask 077
set -C
{{
LINES
}} > {FILE} || {{ rm -f {FILE}; exit 1; }}
"""


@asynccontextmanager
async def with_variables(
    process: AsyncProcess,
    tag: str,
    variables: Mapping[str, str],
    removed: Mapping[str, str],
) -> AsyncIterator[None]:
    """Let the command with this tag, which the block sends, have variables.

    removed: variables that its shell loses, if they still have these values there.

    Raises DaytonaError, and then the block does not run.
    """
    removed = {name: value for name, value in removed.items() if name not in variables}
    if not variables and not removed:
        yield
        return
    lines = [f"printf 'export %s=%q\\n' {name} \"${{{name}}}\"" for name in variables]
    lines += [
        f"printf '[[ ${{%s-}} != %q ]] || unset %s\\n' {name} \"${{{name}}}\" {name}" for name in removed
    ]
    script = _WRITE.replace("LINES", "\n".join(lines)).replace("TAG", tag)
    try:
        written = await process.exec(script, env={**removed, **variables}, request_timeout=_ANSWER_SECONDS)
        _require_written(written)
        yield
    except BaseException:
        with suppress(DaytonaError):  # the sandbox may be gone
            await discard(process, [tag])
        raise


def _require_written(written: ExecuteResponse) -> None:
    if written.exit_code != 0:
        reason = written.result.strip() or "the sandbox does not say why"
        raise CommandFailedError(
            f"The command was not run: its variables could not be written to the sandbox ({reason})."
        )


async def discard(process: AsyncProcess, tags: Iterable[str]) -> None:
    """Remove the variables of commands that will never take them."""
    files = " ".join(FILE.replace("TAG", tag) for tag in tags)
    if files:
        await process.exec(f"rm -f {files}", request_timeout=_ANSWER_SECONDS)
