"""Every parser of data from a sandbox, a page or a notebook, fed with data that no honest one writes.

A parser may refuse its input with the one error that its callers expect. It neither raises another error nor
hangs. `--hypothesis-profile=thorough` tries many more examples.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel import masking
from daytona_kernel.errors import MagicUsageError
from daytona_kernel.interpreter.ending import describe_end
from daytona_kernel.kernel.magic_cell import parse_magic_cell
from daytona_kernel.kernel.relay import gate
from daytona_kernel.kernel.relay.safe_bundle import clean_bundle, clean_metadata
from daytona_kernel.kernel.relay.safe_outputs import SafeOutputs
from daytona_kernel.kernel.relay.widget_states import WidgetStates
from daytona_kernel.kernel.written_magics import find_written_magics
from daytona_kernel.magics.arguments import HelpRequested, expected_after, parse_arguments
from daytona_kernel.magics.copying.remote_files import read_trees
from daytona_kernel.magics.declarations import declare_all
from daytona_kernel.magics.signature import Option, Positional, Signature
from daytona_kernel.server.handlers.multipart import FormReader
from daytona_kernel.views.leftover_log import MARK, read_leftover_logs
from daytona_kernel.views.log_display import LogDisplay
from daytona_kernel.wire.agent_messages import decode_from_agent, decode_to_agent
from daytona_kernel.wire.connection import AgentSide, KernelSide
from daytona_kernel.wire.link import Link
from daytona_kernel.wire.logs import LogDemultiplexer, decode_end
from daytona_kernel.wire.magic_messages import MSG_TYPE, decode_answer_line, decode_magic_request
from daytona_kernel.wire.messages import Message, decode_frame, encode_frame
from daytona_kernel.wire.schema import ProtocolError, parse_object
from daytona_kernel.wire.values import BytesValue, JsonValue, TableValue, decode_value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LONE = "\ud800"
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 1e400, float("nan"), LONE, "\x00"])
    | st.floats()
    | st.text(max_size=8)
)
names = st.sampled_from(
    [
        *(
            "type",
            "msg_type",
            "msg_id",
            "version",
            "content",
            "data",
            "metadata",
            "state",
            "states",
            "comm_id",
        ),
        *(
            "payload",
            "source",
            "text",
            "name",
            "execution_state",
            "call_id",
            "line",
            "cell",
            "method",
            "outputs",
        ),
        *(
            "_model_module",
            "_model_name",
            "_view_module",
            "value",
            "target_name",
            "model_id",
            "status",
            "body",
        ),
        *(
            "text/html",
            "text/plain",
            "application/vnd.jupyter.widget-view+json",
            "user_expressions",
            "received",
        ),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=8)
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
broken = st.binary(max_size=60) | st.sampled_from(
    [DEEP, b"[]", b'"x"', b"7", b"null", b'{"a":NaN}', b"{" + b'"n":' + b"9" * 5000 + b"}", b"\xff\xfe"]
)
json_bytes = objects.map(lambda value: json.dumps(value).encode()) | broken
parts = st.lists(json_bytes, min_size=4, max_size=6)
types = st.sampled_from(
    [
        "status",
        "stream",
        "execute_reply",
        "comm_open",
        "comm_msg",
        "comm_close",
        "display_data",
        "error",
        MSG_TYPE,
    ]
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Return a message of the interpreter or the agent, with a header that is mostly right."""
    header, parent, metadata, content, *buffers = draw(parts)
    if draw(st.booleans()):
        header = json.dumps({"msg_type": draw(types), "msg_id": "m"}).encode()
        parent = json.dumps({"msg_id": "p"}).encode()
    channel = draw(st.sampled_from(["iopub", "shell", "stdin", "control", "agent", "made up"]))
    return Message(channel, [header, parent, metadata, content, *buffers])


def refused(*errors: type[Exception]) -> _Refused:
    """Allow the errors by which a parser refuses its input."""
    return _Refused(errors)


class _Refused:
    def __init__(self, errors: tuple[type[Exception], ...]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        self._started = time.thread_time()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        assert time.thread_time() - self._started < 5, "it takes too long"
        return kind is not None and issubclass(kind, self._errors)


@given(st.binary(max_size=200), st.integers(0, 8))
def test_frames(data: bytes, start: int) -> None:
    with refused(ProtocolError):
        decode_frame(data, start)


@given(messages(), st.integers(0, 400), st.binary(max_size=8))
def test_damaged_frames(message: Message, position: int, damage: bytes) -> None:
    frame = encode_frame(message)
    damaged = frame[:position] + damage + frame[position + len(damage) :]
    with refused(ProtocolError):
        decoded = decode_frame(damaged)
        assert decoded.msg_type is not None
        assert decoded.parent_id is not None
        assert decoded.content is not None
        repr(decoded)


@given(st.lists(st.binary(max_size=80) | st.text(max_size=40) | objects.map(json.dumps), max_size=5))
def test_connections(received: list[bytes | str]) -> None:
    for side in (KernelSide(None, "secret", "link"), AgentSide(Link(), "secret", "link")):
        with refused(ProtocolError):
            for each in received:
                side.receive(each)
                side.outgoing()


@given(json_bytes)
def test_objects(data: bytes) -> None:
    with refused(ProtocolError):
        parse_object(data)


@given(messages())
def test_messages_of_the_agent_and_of_magics(message: Message) -> None:
    for decode in (decode_from_agent, decode_to_agent, decode_magic_request):
        with refused(ProtocolError):
            decode(message)


@given(json_bytes)
def test_answers_to_magics(line: bytes) -> None:
    with refused(ProtocolError):
        decode_answer_line(line)


@given(st.integers() | st.sampled_from([10**30, -(10**30)]))
def test_exit_statuses(status: int) -> None:
    describe_end(status)


@given(st.lists(messages(), max_size=4))
def test_the_gate(received: list[Message]) -> None:
    reaching = gate.reaching_magics(["upload", "local"])
    safe, widgets = SafeOutputs(lambda _comm_id: False), WidgetStates()
    for message in received:
        with refused(ProtocolError):
            widgets.observe(message)
        with refused(ProtocolError):
            admitted = gate.admit(message, reaching)
            if admitted is not None:
                widgets.join(admitted)
                safe.admit(admitted)


@given(objects)
def test_kernel_info(info: dict[str, Any]) -> None:
    assert set(gate.language_version(info, "3")) <= set("0123456789.")
    assert set(gate.features(info, ("debugger",))) <= {"debugger"}


@given(values, values)
def test_bundles(data: Any, metadata: Any) -> None:
    json.dumps([clean_bundle(data, lambda _model_id: False), clean_metadata(metadata)])


@given(json_bytes)
def test_masking(data: bytes) -> None:
    masking.mask_json(data)


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
        b"f 644 3 /a/b",
        b"d 755 0 /a",
        b"l 777 1 /a/c",
        b"f x y z",
        b"f 644 -1 /a",
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


_PAGE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["present", "read", "stop", "input", "download", "downloaded", "bundle"])
        | values
    },
    optional=dict.fromkeys(("view", "since", "before", "text", "piece"), values),
)


@given(st.lists(_PAGE | values, max_size=5))
def test_messages_of_a_page(received: list[Any]) -> None:
    async def nothing(*_arguments: object) -> None:
        pass

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    async def take() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
        display = LogDisplay(
            pieces(),  # type: ignore[arg-type]  # nobody follows it
            command="c",
            session="s",
            publish=lambda *_: None,
            stop=nothing,
            send_input=nothing,
            download=pieces,
            exit_code=nothing,
        )
        display.show()
        for each in received:
            display._receive(each)
        for _ in range(5):
            await asyncio.sleep(0)
        display.close()
        await asyncio.sleep(0)
        assert failures == []

    asyncio.run(take())
