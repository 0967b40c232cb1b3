"""One-off runs: a shell command or some code in a fresh process, which ends with it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...wire.conventions import ARTIFACT_MARK, OWN_ARGUMENTS, RUN_TYPESCRIPT
from .. import failures, limits
from ..box.pipes import PipeReader, widen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .profile import Profile
    from .running_time import RunningTime
    from .spawn import Spawn

_MARK = ARTIFACT_MARK.encode()
_INTERPRETERS: dict[str, list[str]] = {
    "python": ["python3", "-u", "-"],
    "javascript": ["node", "-"],
    "typescript": ["/bin/bash", "-c", RUN_TYPESCRIPT, "typescript"],
}
_NAMES = {"/bin/bash": "/usr/bin/bash"}  # Daytona's error messages have this path


@dataclass(slots=True)
class Result:
    """The exit code and the output of a run. If a signal killed the process, the exit code is -1."""

    exit_code: int
    output: bytes
    charts: list[dict[str, Any]] = field(default_factory=list)


async def execute(
    spawn: Spawn,
    profile: Profile,
    running_time: RunningTime,
    command: str,
    *,
    cwd: str | None,
    env: Mapping[str, str],
    seconds: int | None,
) -> Result:
    """Run `command` in a fresh bash, which reads it from its stdin.

    `seconds` is the timeout in `running_time`; 0 or `None` means none. After it, the process tree is killed,
    as far as the profile says, and `ApiError` 408 is raised.
    """
    return await _run(
        spawn, profile, running_time, ["/bin/bash"], command.encode(), cwd=cwd, env=env, seconds=seconds
    )


async def run_code(
    spawn: Spawn,
    profile: Profile,
    running_time: RunningTime,
    code: str,
    *,
    language: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    charts: Mapping[str, str],
    seconds: int | None,
) -> Result:
    """Run `code` in a fresh interpreter of `language`. Python gets the variables `charts` too.

    Raises `ApiError` 400 for an unknown language, and the errors of `execute`.
    """
    interpreter = _INTERPRETERS.get(language)
    if interpreter is None:
        raise failures.bad_request(f"unsupported language: {language}")
    if language == "python":
        env = {**charts, **env}
    else:
        code = OWN_ARGUMENTS + code
    command = [*interpreter, *argv]
    if profile.joins_arguments:
        command = ["/bin/bash", "-c", f"{shlex.join(interpreter)} {' '.join(argv)}; exit $?"]
    result = await _run(
        spawn, profile, running_time, command, code.encode(), cwd=None, env=env, seconds=seconds
    )
    if _MARK in result.output:
        result.output, result.charts = cut_artifacts(result.output)
    return result


def cut_artifacts(output: bytes) -> tuple[bytes, list[dict[str, Any]]]:
    """Return `output` without its lines of artifacts, and the charts in those lines."""
    kept = []
    charts = []
    for line in output.splitlines(keepends=True):
        if line.startswith(_MARK):
            try:
                artifact = json.loads(line[len(_MARK) :])
                if artifact["type"] == "chart":
                    charts.append(artifact["value"])
                    continue
            except (ValueError, KeyError, TypeError, RecursionError):
                pass  # the line only looks like an artifact
        kept.append(line)
    return b"".join(kept), charts


def _memory_file(content: bytes) -> int:
    """Return a descriptor of a file in memory that contains `content`."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


async def _kill_group(spawn: Spawn, pid: int) -> None:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        await spawn(["/bin/bash", "-c", f"kill -KILL -{pid}"], stdio=(null, null, null))
    finally:
        os.close(null)


async def _run(
    spawn: Spawn,
    profile: Profile,
    running_time: RunningTime,
    argv: list[str],
    stdin: bytes,
    *,
    cwd: str | None,
    env: Mapping[str, str],
    seconds: int | None,
) -> Result:
    output = bytearray()
    dropped = 0

    def keep(data: bytes) -> None:
        nonlocal dropped
        room = limits.RESULT_BYTES - len(output)
        output.extend(data[:room])
        dropped += max(0, len(data) - room)

    script = _memory_file(stdin)
    read_end, write_end = os.pipe()
    widen(read_end)
    try:
        child = await spawn(argv, cwd=cwd, env=env, stdio=(script, write_end, write_end))
    except failures.ApiError:
        os.close(read_end)
        raise
    except OSError as error:
        os.close(read_end)
        missing = (error.strerror or str(error)).lower()
        return Result(-1, f"fork/exec {_NAMES.get(argv[0], argv[0])}: {missing}".encode())
    finally:
        os.close(script)
        os.close(write_end)
    reader = PipeReader(read_end, keep)
    # A background child that keeps the output open delays the answer, as on Daytona.
    finished = asyncio.gather(reader.ended, child.exit)
    try:
        if not await running_time.wait(finished, seconds or None):
            if profile.kills_group:
                await _kill_group(spawn, child.pid)
                await finished
            else:
                await child.kill()
            raise failures.timed_out("command execution timeout")
    finally:
        reader.close()
    code = child.exit.result()
    if dropped:
        output += f"\n[output full: {limits.RESULT_BYTES >> 20} MiB kept, {dropped} bytes dropped]\n".encode()
    return Result(-1 if code < 0 else code, bytes(output))
