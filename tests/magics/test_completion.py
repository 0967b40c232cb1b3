"""Completion while a magic is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daytona_kernel.magics.arguments import Expected, expected_after
from daytona_kernel.magics.signature import Option, Positional, Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.driver import Driver

SIGNATURE = Signature(
    (Positional("name", "a name", kind="session"),),
    (Option("async", "a flag"), Option("cwd", "a directory", "DIR", kind="path")),
    rest="command",
)
AFTER_NAME = {"name": "s1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" ", Expected((), "session", {})),
        (" s", Expected((), "session", {}, "s")),
        (" -", Expected(["--async", "--cwd", "--help"], "", {}, "-")),
        (" --async -", Expected(["--cwd", "--help"], "", {}, "-")),
        (" s1 ", Expected(["--async", "--cwd"], "path", AFTER_NAME)),
        (" --cwd ", Expected((), "path", {})),
        (" --cwd /u", Expected((), "path", {}, "/u")),
        (" --cwd=/u", Expected((), "path", {}, "/u")),
        (" --cwd /usr s1 ls /u", Expected((), "path", AFTER_NAME, "/u")),
        (" s1 ls -", Expected((), "path", AFTER_NAME, "-")),
    ],
)
def test_completions_follow_from_the_declaration(text: str, expected: Expected) -> None:
    assert expected_after(text, SIGNATURE) == expected


def complete(kernel: Driver, line: str) -> list[str]:
    """Return the completions at the end of a line between two others."""
    code = f"a = 1\n{line}\nb = 2"
    answer = kernel.request("complete_request", {"code": code, "cursor_pos": len(f"a = 1\n{line}")})
    typed = len("a = 1\n" + line) - answer["cursor_start"]
    assert all(match.startswith(line[len(line) - typed :]) for match in answer["matches"])
    return list(answer["matches"])


@pytest.fixture(scope="module")
def prepared(kernels: Callable[[str], Driver], profile: str) -> Iterator[Driver]:
    kernel = kernels(profile)
    kernel.run("import os; os.makedirs('/tmp/c/inner'); os.chdir('/tmp/c'); open('f.txt', 'w')")
    kernel.run("%session create build")
    kernel.run("job = %session run build --async sleep 100")
    kernel.run("1")
    yield kernel
    kernel.run("os.chdir(os.environ['HOME'])")


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%session cr", ["create"]),
        ("x = %session run b", ["build"]),
        ("%%session b", ["build"]),
        ("    %session stop bu", ["build"]),
        ("%sh --ti", ["--timeout"]),
        ("%sh --cwd i", ["inner/"]),
        ("%sh cat f", ["f.txt"]),
        ("%sh cat /tmp/c/i", ["/tmp/c/inner/"]),
    ],
)
def test_names_options_and_paths_are_completed(prepared: Driver, line: str, offered: list[str]) -> None:
    assert complete(prepared, line) == offered


@pytest.mark.kernel
def test_command_ids_are_completed_even_while_a_cell_runs(prepared: Driver) -> None:
    job = prepared.run("job").result.strip("'")
    assert complete(prepared, "%session logs build ") == [job]
    running = prepared.send("import time; time.sleep(900)")
    assert complete(prepared, "%session stop build ") == [job]
    prepared.manager.interrupt_kernel()
    assert prepared.collect(running).error["ename"] == "KeyboardInterrupt"
