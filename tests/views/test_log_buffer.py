"""The buffer shows what a terminal would show, in bounded memory, however its input is cut."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daytona_kernel.views.line_editor import Line
from daytona_kernel.views.log_buffer import LogBuffer
from daytona_kernel.views.sgr import Style, apply_sgr
from daytona_kernel.wire.logs import LogChunk, Stream
from tests.views.terminal import Terminal, show

OUT, ERR = Stream.STDOUT, Stream.STDERR


def fed(*pieces: bytes | LogChunk, finish: bool = False, **bounds: int) -> LogBuffer:
    buffer = LogBuffer(**bounds)
    for piece in pieces:
        buffer.feed(piece if isinstance(piece, LogChunk) else LogChunk(OUT, piece))
    if finish:
        buffer.finish()
    return buffer


def texts(buffer: LogBuffer) -> list[str]:
    excerpt = buffer.read()
    assert excerpt.unfinished is not None
    return [line.text for line in [*excerpt.lines, excerpt.unfinished]]


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (b"", [""]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two", ""]),
        (b"  1%\r 50%\r100%\n", ["100%", ""]),
        (b"longer\rnew\n", ["newger", ""]),
        (b"ab\b\bX\n", ["Xb", ""]),
        (b"\b\bX", ["X"]),
        (b"working\r\x1b[Kdone\n", ["done", ""]),
        (b"abc\x1b[2K\x1b[Gx", ["x"]),
        (b"abc\x1b[1Dx\x1b[3Cy", ["abx   y"]),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["alink"]),
        (b"\x1b(Ba\x1b=b\x1b[?25lc\x1b[10;3Hd", ["abcd"]),
        (b"bell\x07nul\x00del\x7f\ttab", ["bellnuldel\ttab"]),
        (b"\xff\xfeok", ["��ok"]),
        ("é→😀".encode(), ["é→😀"]),
        (b"\x1b[31\nnot a color", ["31", "not a color"]),
        ("a\u2028b\x85c\x0bd\x0ce\n".encode(), ["a\u2028b\x85cde", ""]),
    ],
)
def test_text(log: bytes, lines: list[str]) -> None:
    """Whole, byte by byte, and with more lines after it."""
    assert texts(fed(log)) == lines
    assert texts(fed(*(log[index : index + 1] for index in range(len(log))))) == lines
    assert texts(fed(log + b"\nmore\n")) == [*lines, "more", ""]


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("", Style()),
        ("31", Style(foreground=1)),
        ("1;97;44", Style(bold=True, foreground=15, background=4)),
        ("2;3;4;7;9", Style(faint=True, italic=True, underline=True, inverse=True, strike=True)),
        ("1;22", Style()),
        ("31;0;42", Style(background=2)),
        ("38;5;9", Style(foreground=9)),
        ("38;5;196;1", Style(foreground="#ff0000", bold=True)),
        ("48;5;244", Style(background="#808080")),
        ("38;2;1;2;255", Style(foreground="#0102ff")),
        ("38:2:1:2:255", Style(foreground="#0102ff")),
        ("38:2::1:2:255;1", Style(foreground="#0102ff", bold=True)),
        ("48:5:17", Style(background="#00005f")),
        ("4:3;31", Style(underline=True, foreground=1)),
        ("38;5", Style()),
        ("38;2;300;0;0", Style()),
        ("31;39", Style()),
        ("999;31", Style(foreground=1)),
    ],
)
def test_style(parameters: str, style: Style) -> None:
    assert apply_sgr(Style(), parameters) == style


def test_streams_have_their_own_style_and_share_the_line() -> None:
    buffer = fed(b"\x1b[32mgreen ", LogChunk(ERR, b"oops "), b"still green\n", LogChunk(ERR, b"x\xc3"))
    green, error = Style(foreground=2), Style(stderr=True)
    excerpt = buffer.read()
    assert excerpt.lines == [Line("green oops still green", ((6, green), (5, error), (11, green)))]
    assert excerpt.unfinished == Line("x", ((1, error),))
    buffer.feed(LogChunk(OUT, b"\x1b[0m"))
    buffer.feed(LogChunk(ERR, b"\xa9"))
    assert buffer.read().unfinished == Line("xé", ((2, error),))


CONTROLS = r"""
    \n \n\n \r \r\n \b \t \x00 \x07 \x1b \x1b[ \x1b[3 \x1b[31m \x1b[1;44m \x1b[0m \x1b[m \x1b[K
    \x1b[1K \x1b[2K \x1b[3C \x1b[2D \x1b[4G \x1b[60G \x1b[60C \x1b[?K \x1b[1\x20K \x1b[31\x20m a\b ab\b\b
    \x1b\x1b \x1b]0;t \x1b\\ \x1b]8;;x\x1b\\ \x1b(B \x1b[?25h \x1b[\x20q
"""
PIECES = st.one_of(
    st.sampled_from([word.encode().decode("unicode_escape") for word in CONTROLS.split()]),
    st.sampled_from(["é", "😀"]),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.text("ab \n", max_size=20),
)
# The output of progress bars, and lines with and without an end.
PROGRESS = st.lists(
    st.tuples(
        st.just(OUT),
        st.lists(st.sampled_from(["\r", "\r", "a", "bcd", "\x1b[31m", "\x1b[1m", "\x1b[0m", "x\n", "\b"])),
    ),
    max_size=8,
)
LOGS = st.lists(st.tuples(st.sampled_from(Stream), st.lists(PIECES, max_size=6)), max_size=8)


@settings(max_examples=6 * settings().max_examples)
@given(
    st.one_of(LOGS, PROGRESS),
    st.integers(1, 8),
    st.integers(1, 60),
    st.sampled_from([1, 3, 1000]),
    st.booleans(),
    st.sampled_from([1, 150, 300, 1 << 19]),
)
def test_buffer_is_the_tail_of_the_model(
    log: list[tuple[Stream, list[str]]],
    cut: int,
    max_characters: int,
    max_lines: int,
    finish: bool,
    block: int,
) -> None:
    chunks = [LogChunk(stream, "".join(pieces).encode()) for stream, pieces in log]
    terminal = Terminal(width=50)
    terminal.feed(chunks)
    whole, pieces = (
        LogBuffer(max_lines=max_lines, max_characters=max_characters, max_line=50, block=block)
        for _ in range(2)
    )
    for chunk in chunks:
        whole.feed(chunk)
        for start in range(0, len(chunk.data), cut):
            pieces.feed(LogChunk(chunk.stream, chunk.data[start : start + cut]))
            _ = pieces.line_count  # reading it settles the piece
    if finish:
        for ended in (terminal, whole, pieces):
            ended.finish()
    finished = [show(line, 50) for line in terminal.lines[:-1]]
    kept: list[Line] = []
    for line in reversed(finished[-max_lines:]):
        if sum(len(other.text) + 16 * len(other.runs) for other in [*kept, line]) > max_characters:
            break
        kept.insert(0, line)
    for buffer in (whole, pieces):
        excerpt = buffer.read()
        assert excerpt.lines == kept
        assert excerpt.first == buffer.first_line == len(finished) - len(kept)
        assert excerpt.unfinished == show(terminal.lines[-1], 50)
        assert buffer.next_line == len(finished)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.text("ab\n\r", max_size=30), max_size=20), st.integers(1, 10), st.integers(1, 20))
def test_reading_new_lines_again_and_again_gives_all_lines(pieces: list[str], every: int, keep: int) -> None:
    buffer = LogBuffer(max_lines=keep)
    seen: dict[int, str] = {}
    next_line = 0
    for index, piece in enumerate(pieces):
        buffer.feed(LogChunk(OUT, piece.encode()))
        if index % every == 0:
            news = buffer.read(next_line)
            assert news.first >= next_line
            seen |= {news.first + offset: line.text for offset, line in enumerate(news.lines)}
            next_line = buffer.next_line
    news = buffer.read(next_line)
    seen |= {news.first + offset: line.text for offset, line in enumerate(news.lines)}
    everything = buffer.read()
    assert [seen[everything.first + index] for index in range(len(everything.lines))] == [
        line.text for line in everything.lines
    ]


def test_reading_a_part() -> None:
    buffer = fed(b"".join(b"line %d\n" % number for number in range(100)), b"rest", max_lines=50)

    def part(*arguments: int | None, **limits: int) -> tuple[int, list[str]]:
        excerpt = buffer.read(*arguments, **limits)  # type: ignore[arg-type]
        return excerpt.first, [line.text for line in excerpt.lines]

    assert part(97) == (97, ["line 97", "line 98", "line 99"])
    assert part(0, max_lines=2) == (98, ["line 98", "line 99"])
    assert part(0, max_characters=15) == (98, ["line 98", "line 99"])
    assert part(0, max_characters=1) == (99, ["line 99"])
    assert part(58, 60) == (58, ["line 58", "line 59"])
    assert part(0, 52) == (50, ["line 50", "line 51"])
    assert part(0, 10) == (10, [])
    assert part(100) == part(1000) == (100, [])
    assert buffer.read(58, 60).unfinished is None
    assert buffer.read(100).unfinished == Line("rest")
    assert (buffer.first_line, buffer.next_line, buffer.line_count) == (50, 100, 101)


def test_times() -> None:
    buffer = LogBuffer(max_lines=3)
    buffer.feed(LogChunk(OUT, b"a\nb\npart"), 10.0)
    assert buffer.read().times == [(0, 10.0)]
    buffer.feed(LogChunk(OUT, b"ly\nd\n"), 20.0)
    assert buffer.read().times == [(1, 10.0), (3, 20.0)]
    buffer.feed(LogChunk(OUT, b"x\r"), 30.0)
    _ = buffer.line_count
    buffer.feed(LogChunk(OUT, b"y\r"), 40.0)
    assert buffer.read(4).times == [(4, 30.0)]


def test_a_huge_line_keeps_its_beginning_and_counts_the_rest() -> None:
    buffer = fed(b"x" * 1000, b"y" * 50, b"\nnext\n", max_line=100)
    line = buffer.read().lines[0]
    assert (line.text, line.cut) == ("x" * 100, 950)
    buffer = fed(b"x" * 1000, b"\rstart over", max_line=100)
    unfinished = buffer.read().unfinished
    assert unfinished is not None
    assert (unfinished.text[:12], unfinished.cut) == ("start overxx", 900)


def test_a_sequence_without_an_end_becomes_text() -> None:
    assert texts(fed(b"\x1b]" + b"t" * 5000, max_line=10_000)) == ["t" * 5000]
    assert texts(fed(b"\x1b]" + b"t" * 4000)) == [""]
    assert texts(fed(b"\x1b]" + b"t" * 4000, finish=True)) == ["t" * 4000]
    assert texts(fed(b"\x1b[" + b"1;" * 40 + b"mx")) == ["1;" * 40 + "mx"]


def test_a_style_lasts_beyond_the_lines_that_set_it() -> None:
    for size in (7, 1 << 20):
        log = b"\x1b[31mred\n" + b"plain looking\n" * 1000
        buffer = fed(*(log[i : i + size] for i in range(0, len(log), size)), max_lines=5)
        assert {line.runs for line in buffer.read().lines} == {((13, Style(foreground=1)),)}


def test_a_style_ends_in_lines_that_are_skipped() -> None:
    for reset in (b"\x1b[0m", b"\x1b[m", b"\x1b[39m"):
        buffer = fed(b"\x1b[31mred\n", max_lines=5)
        assert (
            buffer.next_line == 1
        )  # reading it settles the line, so red is the style before the skipped block
        buffer.feed(LogChunk(OUT, b"\x1b[1m" + reset + b"\n" + b"plain\n" * 100))
        bold = Style(bold=True) if reset == b"\x1b[39m" else Style()
        assert buffer.read().lines == [Line("plain", ((5, bold),) if bold.bold else ())] * 5


def test_shrinking() -> None:
    buffer = fed(b"line\n" * 100, b"rest")
    buffer.shrink(10, 20)
    assert texts(buffer) == ["line"] * 5 + ["rest"]
    assert buffer.first_line == 95


@pytest.mark.parametrize(
    "log",
    [
        b"".join(b"line %d\n" % number for number in range(200_000)),
        b"y\n" * 5_000_000,
        b"x" * 10_000_000,
        b"\x1b[32mINFO\x1b[0m a line of a program that likes colors\n" * 180_000,
        b"\r 57% of it" * 400_000,
        b"\x1b[32mx\x1b[0m" * 400_000,
    ],
    ids=["200,000 lines", "yes", "one line of 10 MB", "colors", "progress", "colors in one line"],
)
def test_a_flood_is_read_to_its_end(log: bytes) -> None:
    """A cost that grows faster than the input would exceed the time limit of a test."""
    buffer = LogBuffer()
    for start in range(0, len(log), 65536):
        buffer.feed(LogChunk(OUT, log[start : start + 65536]))
    buffer.finish()
    assert buffer.next_line == log.count(b"\n")
    assert buffer.byte_count == len(log)


# Control sequences, each with some text to work on, and whole lines of them.
HOSTILE = {
    "backspaces": b"a \b",
    "overstrikes": b"a\b",
    "inert controls": b"a\x00\x07",
    "returns and backspaces": b"\ra\b",
    "erase to the start": b"a\x1b[1K",
    "erase to the start, far away": b"\x1b[Ga\x1b[16000G\x1b[1K",
    "erase to the end": b"a\x1b[K",
    "erase to the end, then far away": b"\x1b[K\x1b[16000Ca\x1b[G",
    "erase the line": b"a\x1b[2K",
    "erase the line, then far away": b"\x1b[2K\x1b[16000Ga",
    "right": b"a\x1b[9999C",
    "left": b"a\x1b[9999D",
    "column": b"a\x1b[9999G",
    "colors": b"a\x1b[31mb\x1b[m",
    "a dropped sequence": b"a\x1b[H",
    "an unfinished sequence": b"a\x1b[" + b"1" * 63,
    "titles": b"a\x1b]0;t\x07",
    "unfinished titles": b"a\x1b]" + b"t" * 40,
    "escapes": b"\x1b",
    "no characters": b"\xff\xc3",
    "erasures in short lines": b"abc\x1b[1K" * 20 + b"\n",
    "backspaces in short lines": b"ab\b" * 30 + b"\n",
    "far away in short lines": b"\x1b[16000Ca\n",
    "a far column in short lines": b"\x1b[16000Ga\x1b[G\n",
    "progress in short lines": b"a\rb\x1b[K\rcc\b" * 10 + b"\n",
}


def _taken(log: bytes, max_line: int) -> float:
    """Return the seconds of processor time in which a buffer takes a log."""
    buffer = LogBuffer(max_line=max_line)
    started = time.thread_time()
    for start in range(0, len(log), 65536):
        buffer.feed(LogChunk(OUT, log[start : start + 65536]))
    _ = buffer.line_count
    return time.thread_time() - started


@pytest.mark.parametrize("sequence", HOSTILE.values(), ids=HOSTILE)
def test_the_work_for_a_byte_does_not_grow_with_the_line(sequence: bytes) -> None:
    """A long line costs no more than a short one; a cost that grows with it would be 100 times higher."""
    log = sequence * (100_000 // len(sequence))
    long = min(_taken(log, 16 << 10) for _ in range(3))
    short = min(_taken(log, 256) for _ in range(3))
    assert long < 8 * short + 0.02
    assert long < 1.0, "4 MB would take more than 40 s"


@settings(max_examples=settings().max_examples // 5, deadline=None)
@given(st.lists(st.sampled_from([*HOSTILE.values(), b"\n", b"some text"]), min_size=1, max_size=40))
def test_a_random_mixture_is_taken_quickly(pieces: list[bytes]) -> None:
    cycle = b"".join(pieces)
    log = cycle * (100_000 // len(cycle) + 1)
    assert _taken(log, 16 << 10) < 1.0


@pytest.mark.parametrize(
    "piece",
    [
        b"some output of a command, again and again\n" * 1000,
        b"\x1b[31mz\x1b[0my\n" * 1000,
        b"no end of a line" * 20,
        "\N{PILE OF POO}".encode() * 5000 + b"\n",
    ],
    ids=["lines", "colors", "one line", "wide characters"],
)
def test_memory_is_bounded(piece: bytes) -> None:
    """The limit allows 4 Mi characters of up to four bytes, and Python's overhead for each line."""
    buffer = LogBuffer()
    tracemalloc.start()
    for _ in range((8 << 20) // len(piece)):
        buffer.feed(LogChunk(OUT, piece))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6, f"{peak / 1e6:.0f} MB"


def test_memory_is_bounded_while_a_line_is_edited() -> None:
    buffer = LogBuffer(max_line=1000, block=1)
    tracemalloc.start()
    for _ in range(3000):
        buffer.feed(LogChunk(OUT, b"\x1b[G" + b"a" * 900))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e3, f"{peak / 1e6:.1f} MB"


def test_a_change_of_style_counts_as_16_characters() -> None:
    line = b"".join(b"\x1b[%dma" % (31 + column % 6) for column in range(100)) + b"\n"
    lines = fed(line * 100, max_characters=17_000).read().lines
    assert len(lines) == 10
    assert {len(each.runs) for each in lines} == {100}
