"""Hypothesis strategies of data that no honest program writes, and the bounds of a parser that refuses it."""

from __future__ import annotations

import json
import time

from hypothesis import strategies as st

from daytona_kernel.wire.magic_messages import MSG_TYPE
from daytona_kernel.wire.messages import Message

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
