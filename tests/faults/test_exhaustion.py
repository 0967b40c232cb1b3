"""A cell that uses up the descriptors or the disk of its sandbox."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, running_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 60 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["/bin/umount", "--lazy", tmp_path], check=True)


def test_on_a_full_disk_magics_say_so_and_new_interpreters_can_make_room(small_disk: Path) -> None:
    with running_kernel(TMPDIR=str(small_disk)) as driver:
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
