"""The reader of forms, fed whole, byte by byte, and cut at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.server.handlers.multipart import Event, FormReader, PartData, PartEnded, PartStarted

CONTENT_TYPE = "multipart/form-data; boundary=b0undary"


def encode(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    form = b""
    for name, filename, body in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        form += f'--b0undary\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        form += body + b"\r\n"
    return form + b"--b0undary--\r\nepilogue"


def parse(pieces: list[bytes]) -> list[tuple[str, bool, bytes]]:
    reader = FormReader(CONTENT_TYPE)
    events: list[Event] = [event for piece in pieces for event in reader.feed(piece)]
    reader.finish()
    parts: list[tuple[str, bool, bytes]] = []
    started: PartStarted | None = None
    body = b""
    for event in events:
        match event:
            case PartStarted():
                assert started is None
                started, body = event, b""
            case PartData(data):
                body += data
            case PartEnded():
                assert started is not None
                parts.append((started.name, started.is_file, body))
                started = None
    assert started is None
    return parts


PARTS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z\[\]0-9.]{1,12}", fullmatch=True),
        st.one_of(st.none(), st.from_regex(r"[a-z/ .]{0,12}", fullmatch=True)),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"\r\n--b0undar", b"--b0undary", b"-"])),
    ),
    max_size=4,
)


@given(PARTS, st.data())
def test_a_form_comes_back_however_it_is_cut(
    parts: list[tuple[str, str | None, bytes]], data: st.DataObject
) -> None:
    form = encode(parts)
    expected = [(name, filename is not None, body) for name, filename, body in parts]
    assert parse([form]) == expected
    assert parse([form[i : i + 1] for i in range(len(form))]) == expected
    cut = data.draw(st.integers(0, len(form)))
    assert parse([form[:cut], form[cut:]]) == expected


def test_a_quoted_and_an_extended_filename_make_a_file() -> None:
    form = encode([("f", 'a\\"b', b"")])
    assert parse([form]) == [("f", True, b"")]
    form = encode([("f", "x", b"1")]).replace(b'filename="x"', b"filename*=UTF-8''%C3%A4%2Fb")
    assert parse([form]) == [("f", True, b"1")]


@pytest.mark.parametrize(
    "form",
    [
        b"--b0undary\r\n\r\nbody\r\n--b0undary--",
        b"--b0undary\r\nContent-Type: text/plain\r\n\r\nbody\r\n--b0undary--",
        b"--b0undaryX\r\n",
        b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end',
        b"--b0undary\r\n" + b"x" * 20_000,
        b"",
    ],
)
def test_a_wrong_form_is_refused(form: bytes) -> None:
    with pytest.raises(ValueError, match=r"part|boundary|header size"):
        parse([form])


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
def test_a_content_type_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        FormReader(content_type)


def test_the_boundary_may_be_quoted_and_followed_by_other_parameters() -> None:
    for content_type in ('multipart/form-data; boundary="b0undary"', f"{CONTENT_TYPE}; charset=utf-8"):
        assert FormReader(content_type).feed(encode([("a", None, b"1")])) == [
            PartStarted("a", is_file=False),
            PartData(b"1"),
            PartEnded(),
        ]
