"""The form parser, fed whole, byte by byte, and cut at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.server.handlers.multipart import (
    Event,
    MultipartParser,
    PartBegun,
    PartData,
    PartEnded,
    boundary_of,
)

BOUNDARY = b"b0undary"


def encode(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    form = b"preamble\r\n"
    for name, filename, body in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        form += f'--b0undary\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        form += body + b"\r\n"
    return form + b"--b0undary--\r\nepilogue"


def parse(pieces: list[bytes]) -> list[tuple[str, str | None, bytes]]:
    parser = MultipartParser(BOUNDARY)
    events: list[Event] = [event for piece in pieces for event in parser.feed(piece)]
    parser.finish()
    parts: list[tuple[str, str | None, bytes]] = []
    begun: PartBegun | None = None
    body = b""
    for event in events:
        match event:
            case PartBegun():
                assert begun is None
                begun, body = event, b""
            case PartData(data):
                body += data
            case PartEnded():
                assert begun is not None
                parts.append((begun.name, begun.filename, body))
                begun = None
    assert begun is None
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
    assert parse([form]) == parts
    assert parse([form[i : i + 1] for i in range(len(form))]) == parts
    cut = data.draw(st.integers(0, len(form)))
    assert parse([form[:cut], form[cut:]]) == parts


def test_a_quoted_and_an_extended_filename_are_understood() -> None:
    [(_, filename, _)] = parse([encode([("f", 'a\\"b', b"")])])
    assert filename == 'a"b'
    form = encode([("f", "x", b"1")]).replace(b'filename="x"', b"filename*=UTF-8''%C3%A4%2Fb")
    assert parse([form]) == [("f", "ä/b", b"1")]


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
def test_what_is_no_form_is_refused(form: bytes) -> None:
    with pytest.raises(ValueError, match=r"part|boundary"):
        parse([form])


def test_the_boundary_is_read_from_the_content_type() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
    assert boundary_of("multipart/form-data; boundary=xyz; charset=utf-8") == b"xyz"
    with pytest.raises(ValueError, match="boundary"):
        boundary_of("application/json")
