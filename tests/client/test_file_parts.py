"""The answer to a bulk download, as an honest sandbox and as a hostile one writes it."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import DaytonaError, DaytonaNotFoundError, FileUpload
from daytona_kernel.client.file_parts import FileParts

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: x/y\r\n\r\n'
ONE = HEAD % b"/a" + b"one\r\n"
TWO = HEAD % b"/b" + b"t\r\n--w\r\no\r\n"
END = b"--B--\r\n"
ERROR = b'--B\r\nContent-Disposition: form-data; name="error"; filename="/a"\r\n\r\n%s\r\n'


class Received(dict[str, bytes]):
    """The complete files, by path. opened, ended: how many files were opened and closed."""

    opened = ended = 0

    @contextmanager
    def open(self, path: str) -> Iterator[io.BytesIO]:
        self.opened += 1
        file = io.BytesIO()
        try:
            yield file
            self[path] = file.getvalue()
        finally:
            self.ended += 1


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_files_arrive_in_any_pieces(size: int) -> None:
    received = Received()
    parts = FileParts(["/a", "/b"], received.open)
    body = TWO + ONE + END
    for start in range(0, len(body), size):
        parts.write(body[start : start + size])
    parts.finish()
    assert received == {"/a": b"one", "/b": b"t\r\n--w\r\no"}
    assert received.opened == received.ended == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        ONE,
        ONE + END,
        ONE + TWO,
        ONE + ONE + END,
        ONE + HEAD % b"/etc/passwd" + b"x\r\n" + END,
        ONE + HEAD % b"" + b"x\r\n" + END,
        b"\r\n" + ONE + TWO + END,
        b"x" * 100_000,
        b"--\r\n" + ONE + TWO + END,
        b"--B\r\n" + b"X-H: y\r\n" * 10_000 + ONE,
        b"--B\r\n" + b"X" * 1_000_000,
        b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + ONE + TWO + END,
        b'--B\r\nContent-Disposition: form-data; name="x"; filename="\\"\r\n\r\nx\r\n' + END,
        ERROR % b"no JSON" + END,
        ERROR % (b"[" * 60_000) + END,
        ERROR % b'{"message":{},"statusCode":"x"}' + END,
        ERROR % (b"x" * 1_000_000) + END,
    ],
)
def test_an_answer_of_another_form_is_an_error_and_leaves_no_file_open(body: bytes) -> None:
    received = Received()
    parts = FileParts(["/a", "/b"], received.open)

    def take() -> None:
        for start in range(0, len(body), 1000):
            parts.write(body[start : start + 1000])
        parts.finish()

    with pytest.raises(DaytonaError):
        take()
    parts.close()
    assert received.opened == received.ended
    assert set(received) <= {"/a", "/b"}


def test_a_file_twice_keeps_the_first_and_a_repetition_skips_what_is_complete() -> None:
    received = Received()
    parts = FileParts(["/a", "/b"], received.open)
    parts.write(ONE + HEAD % b"/b" + b"half")
    parts.reset()
    parts.write(HEAD % b"/a" + b"other\r\n" + TWO + END)
    parts.finish()
    assert received == {"/a": b"one", "/b": b"t\r\n--w\r\no"}
    assert (received.opened, received.ended) == (3, 3)


def test_nothing_is_taken_after_the_end() -> None:
    received = Received()
    parts = FileParts(["/a"], received.open)
    parts.write((HEAD % b"/a") + b"half")
    parts.close()
    parts.write(b"rest\r\n" + END)
    assert received == {}
    assert received.opened == received.ended == 1


def test_files_of_a_real_sandbox(sandbox: Any) -> None:
    names = ["plain", "in/ü 日本.txt", 'quo"te', "back\\slash", "100%25;x", "empty"]
    home = sandbox.get_work_dir()
    contents = {f"{home}/{name}": name.encode() * 1000 for name in names[:-1]} | {f"{home}/empty": b""}
    sandbox.fs.upload_files([FileUpload(content, path) for path, content in contents.items()])
    received = Received()
    sandbox.fs.download_each(list(contents), received.open)
    assert received == contents
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.download_each([f"{home}/plain", f"{home}/missing"], received.open)
