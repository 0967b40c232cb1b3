"""Every parser of messages, of the sandbox and of pages, fed with messages that no honest program sends.

A parser may refuse its input with the one error that its callers expect. It neither raises another error nor
hangs. `--hypothesis-profile=thorough` tries many more examples.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel import masking
from daytona_kernel.kernel.relay import gate
from daytona_kernel.kernel.relay.safe_bundle import clean_bundle, clean_metadata
from daytona_kernel.kernel.relay.safe_outputs import SafeOutputs
from daytona_kernel.kernel.relay.widget_states import WidgetStates
from daytona_kernel.views.log_display import LogDisplay
from daytona_kernel.wire.agent_messages import decode_from_agent, decode_to_agent
from daytona_kernel.wire.connection import AgentSide, KernelSide
from daytona_kernel.wire.link import Link
from daytona_kernel.wire.magic_messages import decode_answer_line, decode_magic_request
from daytona_kernel.wire.messages import Message, decode_frame, encode_frame
from daytona_kernel.wire.schema import ProtocolError, parse_object

from .strategies import json_bytes, messages, objects, refused, values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
