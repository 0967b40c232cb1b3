"""A cell that uses up the descriptors or the disk of its sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    assert own_kernel.run("files.clear()\nprint('again')").stdout == "again\n"
    assert own_kernel.run("%sh echo shell").stdout == "shell\n"
