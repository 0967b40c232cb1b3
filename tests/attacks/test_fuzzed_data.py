"""Every parser of logs, values, forms, listings, arguments, cells and notebooks, fed with broken ones.

It keeps to the rules of test_fuzzed_messages.
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.errors import MagicUsageError
from daytona_kernel.interpreter.ending import describe_end
from daytona_kernel.kernel.magic_cell import parse_magic_cell
from daytona_kernel.kernel.written_magics import find_written_magics
from daytona_kernel.magics.arguments import HelpRequested, expected_after, parse_arguments
from daytona_kernel.magics.copying.remote_files import read_trees
from daytona_kernel.magics.declarations import declare_all
from daytona_kernel.magics.signature import Option, Positional, Signature
from daytona_kernel.server.handlers.multipart import FormReader
from daytona_kernel.views.leftover_log import MARK, read_leftover_logs
from daytona_kernel.wire.logs import LogDemultiplexer, decode_end
from daytona_kernel.wire.values import BytesValue, JsonValue, TableValue, decode_value

from .strategies import DEEP, LONE, refused, values

if TYPE_CHECKING:
    from pathlib import Path


@given(st.integers() | st.sampled_from([10**30, -(10**30)]))
def test_exit_statuses(status: int) -> None:
    describe_end(status)


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"\x01" * 3, b"\x02" * 3, b"\x01", b"\x02"])))
def test_logs(pieces: list[bytes]) -> None:
    demultiplexer = LogDemultiplexer()
    for piece in pieces:
        demultiplexer.feed(piece)
    demultiplexer.finish()


@given(st.text(max_size=30) | st.sampled_from([f"exit {'9' * 5000}, 1 bytes", "exit ٣, ٣ bytes"]))
def test_the_end_of_a_log(reason: str) -> None:
    decode_end(reason)


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()))
def test_values(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    decoded = data.decode("utf-8", "surrogateescape")
    for value in (
        JsonValue(decoded),
        BytesValue(decoded),
        TableValue(decoded, True),
        TableValue(text, False),
    ):
        with refused(ValueError):
            decode_value(value)


def _table() -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    stream = io.BytesIO()
    table = pyarrow.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


@given(st.integers(0, 900), st.binary(min_size=1, max_size=4), st.booleans())
def test_damaged_tables(position: int, damage: bytes, is_pandas: bool) -> None:
    table = _table()
    damaged = table[:position] + damage + table[position + len(damage) :]
    with refused(ValueError):
        decode_value(TableValue(base64.b64encode(damaged).decode(), is_pandas))


@given(
    st.sampled_from(["multipart/form-data; boundary=b", "multipart/x; boundary=", "", "a; boundary*=x''%ff"])
    | st.text(max_size=40),
    st.lists(
        st.binary(max_size=30)
        | st.sampled_from([b"--b\r\n", b"--b--\r\n", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data"])
        | st.sampled_from([b'; name="x"', b"; filename*=utf-8''%ff", b"--b", b"-", b"\r", b"x" * 20_000]),
        max_size=12,
    ),
)
def test_forms(content_type: str, pieces: list[bytes]) -> None:
    with refused(ValueError):
        reader = FormReader(content_type)
        for piece in pieces:
            reader.feed(piece)
        reader.finish()


_FIELD = st.sampled_from(
    [
        b"",
        b"/a",
        b"f 644 3 0 /a/b",
        b"d 755 0 0.5 /a",
        b"l 777 1 0 /a/c",
        b"f x y z",
        b"f 644 -1 0 /a",
        b"f",
        b"/",
        b"f 9 9",
    ]
) | st.binary(max_size=12)


@given(st.lists(_FIELD, max_size=10), st.sampled_from(["/a", "/a/*", "/", "/a/[b"]))
def test_listings(fields: list[bytes], path: str) -> None:
    with refused(ValueError):
        for source in read_trees(b"\0".join(fields), path):
            assert all(entry.size >= 0 for entry in source.entries)


SIGNATURE = Signature(
    (Positional("source", "s", repeated=True), Positional("target", "t", optional=True)),
    (
        Option("force", "f"),
        Option("env", "e", value="NAME=VALUE", repeated=True),
        Option("timeout", "t", value="S"),
    ),
    rest="command",
)


_WORDS = st.lists(
    st.sampled_from(
        ["--", "--force", "--env", "--timeout=3", "'", '"', "\\", " ", "\n", "a", "$x", "{y}", "--help"]
    )
    | st.text(max_size=6)
).map("".join)


@given(_WORDS)
def test_arguments_of_magics(text: str) -> None:
    for signature in (SIGNATURE, Signature(), Signature((Positional("a", "a"),))):
        with refused(MagicUsageError, HelpRequested):
            parse_arguments(text, signature)
        expected_after(text, signature)


@pytest.mark.parametrize("piece", ['"', "'", "\\", "a'b\"", "--env a=b ", " ", '"\\', "--"])
def test_long_arguments_of_magics(piece: str) -> None:
    with refused(MagicUsageError, HelpRequested):
        parse_arguments(piece * (100_000 // len(piece)), SIGNATURE)
    with refused():
        expected_after(piece * (100_000 // len(piece)), SIGNATURE)


registry = declare_all()


_CODE = st.lists(
    st.sampled_from(
        ["%upload a b\n", "%%sh\n", "x = %sh ls\n", "!ls\n", "?", "'''", "(", "\\\n", "\t", "\x00", LONE]
    )
    | st.text(max_size=10)
).map("".join)


@pytest.mark.filterwarnings("ignore:`make_tokens_by_line`")
@given(_CODE)
def test_cells(code: str) -> None:
    parse_magic_cell(code, registry)
    find_written_magics(code, registry)


@pytest.mark.parametrize("piece", ["(", "-", "%sh ", "!", "'", "{", "%time ", "x?\n", "\\\n"])
def test_long_cells(piece: str) -> None:
    code = piece * (300 // len(piece))
    with refused():
        parse_magic_cell(code, ("sh", "upload"))
        find_written_magics(code, ("sh", "upload"))


@given(values)
def test_saved_notebooks(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    notebook = tmp_path_factory.getbasetemp() / "fuzzed.ipynb"
    for content in (
        {MARK: value},
        {"cells": value, MARK: 1},
        {"cells": [{"outputs": value}], MARK: 1},
        {"cells": [{"outputs": [{"metadata": {MARK: value}, "data": value}]}]},
        {"cells": [{"outputs": [{"metadata": {MARK: {"command": value}}, "data": {"text/plain": value}}]}]},
    ):
        notebook.write_text(json.dumps(content))
        read_leftover_logs(notebook)


def test_a_deep_notebook_has_no_logs(tmp_path: Path) -> None:
    (tmp_path / "deep.ipynb").write_bytes(DEEP + MARK.encode())
    (tmp_path / "deeper.ipynb").write_bytes(b'{"%s":' % MARK.encode() + DEEP + b"}")
    assert read_leftover_logs(tmp_path / "deep.ipynb") == []
    assert read_leftover_logs(tmp_path / "deeper.ipynb") == []
