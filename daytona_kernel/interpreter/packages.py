"""The packages that a person declares for a sandbox: installed once, before the first cell runs.

The installation is a command of a session, because it may take minutes. A file in the sandbox says that it is
done, so that the next kernel there does not wait for it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from ..client.models.sessions import SessionExecuteRequest
from ..errors import DaytonaError, SettingError
from ..wire.conventions import SESSION_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client.process import AsyncProcess

_KEPT_BYTES = 4000  # of the output, whose end has the reason of a failure
_MARK = '"${XDG_CACHE_HOME:-$HOME/.cache}"/daytona-kernel/packages-'
# The arguments: the mark's digest, the Python's program, the packages. The sandbox is the person's own, so
# the packages of its system need no protection from the person.
_INSTALL = f"""
mark={_MARK}$1
python=$(command -v "$2") || {{ echo "there is no $2 in the sandbox"; exit 1; }}
shift 2
export PIP_BREAK_SYSTEM_PACKAGES=1 UV_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1
if command -v uv > /dev/null; then
    uv pip install --quiet --python "$python" "$@" || exit
else
    "$python" -m pip install --quiet "$@" || exit
fi
mkdir -p "${{mark%/*}}" && : > "$mark"
"""


_VERSION = re.compile(r"\d+\.\d+\.\d+")
_OF_SETTING = (
    "No interpreter was started. Change the setting `packages`, which %daytona shows, and run the cell again."
)


async def install(
    process: AsyncProcess, packages: Sequence[str], python: str, advice: str = _OF_SETTING
) -> None:
    """Install packages in a sandbox, unless they are installed there already.

    packages: what pip takes, such as "pandas>=2". python: the program of the Python that gets them.
    advice: what the message of a failure says after the reason.

    Raises SettingError with the reason, and DaytonaError.
    """
    digest = hashlib.sha256("\n".join([python, *packages]).encode()).hexdigest()[:16]
    if (await process.exec(f"[ -e {_MARK}{digest} ]")).exit_code == 0:
        return
    status, printed = await _run(process, shlex.join(["sh", "-c", _INSTALL, "sh", digest, python, *packages]))
    if status != 0:
        raise SettingError(
            f"The packages {', '.join(packages)} could not be installed: {_reason(printed)}. {advice}"
        )


async def python_version(process: AsyncProcess, python: str) -> str | None:
    """Return the version of a Python of a sandbox, such as "3.13.1"; None if there is none."""
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    answer = await process.exec(shlex.join([python, "-c", code]))
    found = _VERSION.fullmatch(answer.result.strip())
    return found[0] if found and answer.exit_code == 0 else None


async def _run(process: AsyncProcess, command: str) -> tuple[int | None, str]:
    """Run a command in a session of its own; return its status and the end of what it has printed."""
    session_id = SESSION_PREFIX + secrets.token_hex(8)
    await process.create_session(session_id)
    try:
        request = SessionExecuteRequest(command=command, run_async=True)
        started = await process.execute_session_command(session_id, request)
        printed = b""
        chunks = process.follow_session_command_logs(session_id, started.cmd_id)
        try:
            async for chunk in chunks:
                printed = (printed + chunk.data)[-_KEPT_BYTES:]
        finally:
            await chunks.aclose()
    finally:
        with suppress(DaytonaError):  # the sandbox may be gone
            await process.delete_session(session_id)
    return chunks.exit_code, printed.decode(errors="replace")


def _reason(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["the installer printed nothing"])[-1].rstrip(".")
