"""Minutes of random work with one kernel, while its processes are measured: `make soak`.

    python -m benchmarks.soak [--minutes N] [--seed N]

The work is cells, magics, sessions, background commands, uploads, interrupts, ends of the interpreter, and
breaks of the connection, in a random order. Each answer is checked. Once a minute, when all sessions are
deleted, a row of the Markdown table shows the memory (PSS), descriptors and threads of each process. The
command fails if an answer was wrong, if the kernel has grown by more than 5 MB since the warm-up, or if the
descriptors or threads of a process, or the number of processes, have grown.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import psutil

from daytona_kernel.views import WIDGET_MIME_TYPE
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.kernel.driver import DEADLINE, Driver, running_kernel
from tests.served import serving

if TYPE_CHECKING:
    from collections.abc import Callable

_MEGABYTES = 5.0
# Counts rise and fall with connections that are kept for a while, so a few more are no leak.
_SLACK = 4
_SAMPLE_SECONDS = 60.0
_WARM_UP = 0.3  # of all samples
_SETTLING_SECONDS = 5.0


@dataclass
class Usage:
    """The usage of a process: MB of memory, descriptors, threads."""

    memory: float
    descriptors: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory:.1f} / {self.descriptors} / {self.threads}"


class WrongAnswerError(Exception):
    """An answer that is not the expected one."""


class Work:
    """The operations of the soak. Each method whose name starts with `_do_` is one.

    proxy: what the kernel's connections pass. local: a file to upload.
    """

    def __init__(self, driver: Driver, proxy: FaultProxy, local: Path, chance: random.Random) -> None:
        self._driver = driver
        self._proxy = proxy
        self._local = local
        self._chance = chance
        self._count = 0
        self.operations: list[Callable[[], None]] = [
            getattr(self, name) for name in dir(self) if name.startswith("_do_")
        ]
        self.latest: deque[str] = deque(maxlen=10)
        self.done = dict.fromkeys((operation.__name__ for operation in self.operations), 0)

    def one(self) -> None:
        """Do a random operation. Raises WrongAnswerError."""
        self._count += 1
        operation = self._chance.choice(self.operations)
        self.latest.append(operation.__name__)
        operation()
        self.done[operation.__name__] += 1

    def rest(self) -> None:
        """Delete all sessions."""
        self._run("%session delete --all")

    def _do_compute(self) -> None:
        _expect(self._run(f"{self._count} + 1").result, str(self._count + 1))

    def _do_print(self) -> None:
        lines = self._chance.randrange(1, 3000)
        answer = self._run(f"for i in range({lines}): print(i)")
        _expect(answer.stdout, "".join(f"{i}\n" for i in range(lines)))

    def _do_fail(self) -> None:
        _expect(self._run("1 / 0").error["ename"], "ZeroDivisionError")

    def _do_display(self) -> None:
        answer = self._run("from IPython.display import HTML, display; display(HTML('<b>' + 'x' * 50_000))")
        _expect(len(answer.contents("display_data")), 1)

    def _do_complete(self) -> None:
        # A busy machine may answer too late, and then nothing is known.
        reply = self._driver.request("complete_request", {"code": "prin", "cursor_pos": 4})
        _expect("print" in (reply["matches"] or ["print"]), True)

    def _do_input(self) -> None:
        asked = self._driver.send("input('? ')", allow_stdin=True)
        self._driver.client.get_stdin_msg(timeout=DEADLINE)
        self._driver.client.input("words")
        _expect(self._driver.collect(asked).result, "'words'")

    def _do_interrupt(self) -> None:
        answer, _ = self._driver.interrupt_when_printed(
            "import time; print('go', flush=True); time.sleep(600)"
        )
        _expect(answer.error["ename"], "KeyboardInterrupt")

    def _do_shell(self) -> None:
        _expect(self._run(f"%sh echo {self._count}").stdout, f"{self._count}\n")

    def _do_interrupt_shell(self) -> None:
        answer, _ = self._driver.interrupt_when_printed("%sh --live echo go; sleep 600")
        _expect(answer.error["ename"], "KeyboardInterrupt")

    def _do_session(self) -> None:
        name = f"s{self._count}"
        self._run(f"%session create {name}")
        _expect(self._run(f"%session run {name} echo $((1 + 1))").stdout, "2\n")
        self._run(f"%session delete {name}")

    def _do_background(self) -> None:
        def show(message: dict[str, Any]) -> None:
            view = message["content"].get("data", {}).get(WIDGET_MIME_TYPE)
            if view is not None:
                self._send_to_view(view["model_id"])

        answer = self._run(f"%%session --async\nseq {self._chance.randrange(1, 300)}", show)
        _expect("Its log: %session logs" in answer.stdout, True)

    def _do_upload(self) -> None:
        self._run(f"%upload {self._local} copy --force")
        _expect(self._run("len(open('copy', 'rb').read())").result, str(self._local.stat().st_size))

    def _do_one_off(self) -> None:
        _expect(self._run("%%code_run\nprint(6 * 7)").stdout, "42\n")

    def _do_subshell(self) -> None:
        self._driver.run_beside("1 + 1")

    def _do_end_interpreter(self) -> None:
        if self._chance.random() < 0.5:  # noqa: PLR2004 - it takes longest
            _expect(self._run("import os; os._exit(3)").error["ename"], "InterpreterDiedError")

    def _do_break_connection(self) -> None:
        def cut(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and not cuts:
                cuts.append(True)
                self._proxy.cut()

        cuts: list[bool] = []
        code = "import time\nfor i in range(20): print(i, flush=True); time.sleep(0.02)"
        _expect(self._run(code, cut).stdout, "".join(f"{i}\n" for i in range(20)))

    def _run(self, code: str, on_message: Callable[[dict[str, Any]], None] | None = None) -> Any:
        return self._driver.run(code, on_message)

    def _send_to_view(self, model_id: str) -> None:
        """Tell a log view, as a page does, that the page has it."""
        data = {"method": "custom", "content": {"type": "present"}}
        self._driver.send_message("comm_msg", {"comm_id": model_id, "data": data})


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise WrongAnswerError(f"{str(found)[-300:]!r} in place of {str(expected)[-300:]!r}")


def sample(driver: Driver) -> tuple[dict[str, Usage], int]:
    """Return the usage of the kernel's processes by their names, and the number of processes."""
    processes = psutil.Process().children(recursive=True)
    found: dict[str, Usage] = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if (name := _name(process, driver)) is not None:
                found[name] = Usage(
                    process.memory_full_info().pss / 1e6, process.num_fds(), process.num_threads()
                )
    return found, len(processes)


def _name(process: psutil.Process, driver: Driver) -> str | None:
    if process.pid == driver.pid:
        return "kernel"
    command = process.cmdline()
    if command and command[-3:-1] == ["serve", "--root"]:
        return "server"
    if not any("agent-" in word for word in command) or "python" not in command[0]:
        return None
    return "interpreter" if "interpreter" in command else "agent"


def find_growth(samples: list[tuple[dict[str, Usage], int]]) -> list[str]:
    """Return what has grown since the warm-up, in sentences."""
    warm = max(1, round(len(samples) * _WARM_UP))
    before, after = samples[:warm], samples[-warm:]
    grown = []
    kernel = [each["kernel"].memory for each, _ in samples]
    growth = kernel[-1] - kernel[warm - 1]
    if growth > _MEGABYTES:
        grown.append(f"The kernel has grown by {growth:.1f} MB.")
    for name in before[-1][0]:
        for what in ("descriptors", "threads"):
            counts = [[getattr(e[name], what) for e, _ in part if name in e] for part in (before, after)]
            if all(counts) and min(counts[1]) > max(counts[0]) + _SLACK:
                grown.append(f"The {name} has more {what}: {counts[0]}, then {counts[1]}.")
    numbers = [[count for _, count in part] for part in (before, after)]
    if min(numbers[1]) > max(numbers[0]) + _SLACK:
        grown.append(f"There are more processes: {numbers[0]}, then {numbers[1]}.")
    return grown


def soak(work: Work, driver: Driver, minutes: int) -> list[str]:
    """Work for some minutes, and print the table. Return what is wrong, in sentences."""
    wrong: list[str] = []
    samples: list[tuple[dict[str, Usage], int]] = []
    print("| minute | operations | kernel | server | agent | interpreter | processes |")
    print("|---:|---:|---|---|---|---|---:|")
    started = time.monotonic()
    for minute in range(minutes + 1):
        while time.monotonic() < started + minute * _SAMPLE_SECONDS:
            try:
                work.one()
            except Empty:
                return [
                    *wrong,
                    f"minute {minute}: no answer for {DEADLINE:.0f} s after {', '.join(work.latest)}",
                ]
            except (WrongAnswerError, AssertionError, ValueError, KeyError) as error:
                wrong.append(f"minute {minute}, {work.latest[-1]}: {type(error).__name__}: {error}")
        work.rest()
        driver.run("1")  # the interpreter is there
        time.sleep(_SETTLING_SECONDS)
        samples.append(sample(driver))
        usages, processes = samples[-1]
        cells = [str(usages.get(name, "-")) for name in ("kernel", "server", "agent", "interpreter")]
        print(f"| {minute} | {sum(work.done.values()):,} | {' | '.join(cells)} | {processes} |", flush=True)
    return wrong + find_growth(samples[1:])


def main() -> int:
    """Run the soak. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the random order; default: any")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 32)  # noqa: S311
    print(f"Seed {seed}.\n")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(serving(directory / "server"))
        proxy = stack.enter_context(fault_proxy(environment["DAYTONA_API_URL"]))
        local = directory / "upload"
        local.write_bytes(bytes(200_000))
        driver = stack.enter_context(
            running_kernel(cwd=directory, **environment | {"DAYTONA_API_URL": proxy.url})
        )
        work = Work(driver, proxy, local, random.Random(seed))  # noqa: S311
        wrong = soak(work, driver, arguments.minutes)
    print("\nMB of memory (PSS) / descriptors / threads of each process.")
    counts = (f"{name.removeprefix('_do_')} {count}" for name, count in work.done.items())
    print("Operations:", ", ".join(counts))
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
