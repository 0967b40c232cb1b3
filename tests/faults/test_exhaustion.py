"""A cell that uses up the descriptors or the disk of its sandbox."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager

from tests.kernel.driver import run_kernel

from .small_disk import run_from, small_disk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.driver import Driver

USE_UP_DESCRIPTORS = """
files = []
try:
    while True:
        files.append(open('/dev/null'))
except OSError as error:
    print(error.strerror)
"""


def test_a_cell_that_uses_up_the_descriptors_shows_its_output(own_kernel: Driver) -> None:
    # The first output of an interpreter needs no descriptor either.
    assert own_kernel.run(USE_UP_DESCRIPTORS).stdout == "Too many open files\n"
    # IPython may say before that it could not save its history.
    assert own_kernel.run("files.clear()\nprint('again')").stdout.endswith("again\n")
    assert own_kernel.run("%sh echo shell").stdout == "shell\n"


FILL = """
with open('fill', 'wb') as file:
    try:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    except OSError as error:
        print(error.strerror)
"""
FULL = "No space left on device"


def test_on_a_full_disk_magics_say_so_and_new_interpreters_can_make_room(tmp_path: Path) -> None:
    manager = KernelManager(kernel_name="daytona")
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path))
        run_from(disk, manager)
        driver = stack.enter_context(run_kernel(manager, TMPDIR=str(tmp_path)))
        driver.run("%session create s")
        assert FULL in driver.run(FILL).stdout
        # IPython may say before that it could not save its history.
        assert driver.run("%session run s echo words").stdout.endswith("words\n")
        assert FULL in driver.run("%session run s head -c 6000000 /dev/zero").stderr
        assert FULL.lower() in driver.run("%upload /etc/passwd copy").error["evalue"]
        driver.run("import os; os._exit(3)")
        assert driver.run("%sh echo shell").stdout.endswith("shell\n")
        assert driver.run("'cell'").result == "'cell'"
        driver.client.stop_channels()
        driver.manager.restart_kernel()
        driver.connect()
        assert driver.run("'cell'").result == "'cell'"
        assert driver.run("%sh rm fill").reply["status"] == "ok"
        assert driver.run("%session run s echo words").stdout == "words\n"
        assert driver.run("with open('room', 'w') as file: file.write('x' * 100_000)").reply["status"] == "ok"
