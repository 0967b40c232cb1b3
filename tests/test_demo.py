"""What `daytona-kernel demo` prints of a notebook's outputs. `test_cli` runs the command."""

from __future__ import annotations

import pytest

from daytona_kernel.demo import Terminal


def stream(text: str) -> dict[str, object]:
    return {"msg_type": "stream", "content": {"name": "stdout", "text": text}}


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["one\n\ntwo\n"], ["one", "", "two"]),
        (["no newline"], ["no newline"]),
        (["\x1b[32mgreen\x1b[0m\n"], ["green"]),
        (["  0%\r 50%\r100%\n"], ["100%"]),
        (["\r 50%", "\r 99%", "\r100%\nnext\n"], ["100%", "next"]),
        (["\x1b[?25l", "\r\x1b[2K 9.9/9.9 MB\n\x1b[?25h\nCollecting\n"], [" 9.9/9.9 MB", "Collecting"]),
    ],
)
def test_progress_bars_leave_their_end(
    capsys: pytest.CaptureFixture[str], texts: list[str], shown: list[str]
) -> None:
    terminal = Terminal()
    for text in texts:
        terminal.show(stream(text))
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix("  │ ").removeprefix("  │") for line in lines] == shown
