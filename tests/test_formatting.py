"""Numbers, sizes and durations as people write them."""

import pytest

from daytona_kernel.formatting import format_bytes, format_clock, format_count, format_duration, format_sizes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (56_789, "57 kB"),
        (123_456, "123 kB"),
        (999_999, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (1.2e9, "1.2 GB"),
        (5_000_000_000_000, "5000 GB"),
        (5e13, "50000 GB"),
    ],
)
def test_sizes_have_decimal_units(count: float, text: str) -> None:
    assert format_bytes(int(count)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.34, "0.3 s"), (12.6, "13 s"), (3, "3 s"), (185, "3 min 5 s"), (1800, "30 min"), (7300, "2 h 1 min")],
)
def test_durations_in_sentences_have_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (61, "1:01"), (3723, "1:02:03")]
)
def test_durations_beside_a_log_look_like_a_clock(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2000, "2,000 files")])
def test_counts_agree_with_their_noun(number: int, text: str) -> None:
    assert format_count(number, "file") == text


def test_a_size_is_in_words() -> None:
    assert format_sizes(8, 16, None, 0) == "8 cores, 16 GiB memory"
    assert format_sizes(1, 1, 10, 1) == "1 core, 1 GiB memory, 10 GiB disk, 1 GPU"
    assert format_sizes(None, None, None, None) == ""
