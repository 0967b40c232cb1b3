"""docs/protocol.md describes the messages as the code declares them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from daytona_kernel.wire import agent_messages, connection, link, magic_messages, values
from daytona_kernel.wire.agent_configuration import AgentConfiguration
from daytona_kernel.wire.agent_messages import FromAgent, ToAgent
from daytona_kernel.wire.connection import Acknowledgement, CloseCode, Hello, Welcome
from daytona_kernel.wire.magic_messages import MagicRequest, Outcome, Step
from daytona_kernel.wire.values import EncodedValue

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
UNIONS: list[Any] = [FromAgent, ToAgent, MagicRequest, Step, Outcome, EncodedValue]
MESSAGES: list[Any] = [
    Hello,
    Welcome,
    Acknowledgement,
    *(each for union in UNIONS for each in get_args(union)),
]


def documented() -> dict[str, list[str]]:
    """Return the fields of each message in the page's tables."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or not re.fullmatch(r"(`\w+`)?", cells[0]):
            continue
        # The tables of agent messages have a column more: which end sends the message.
        field = cells[2] if cells[1] in ("agent", "kernel", "") else cells[1]
        name = cells[0].strip("`") or name
        found.setdefault(name, [])
        if re.fullmatch(r"`\w+`", field):
            found[name].append(field.strip("`"))
    return found


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_on_the_page_with_its_fields_in_order(message: Any) -> None:
    assert documented()[message.TYPE] == [field.name for field in fields(message)]


def test_the_page_has_each_key_of_the_configuration() -> None:
    keys = [key for key, cells in documented().items() if key in {f.name for f in fields(AgentConfiguration)}]
    assert keys == [field.name for field in fields(AgentConfiguration)]


def test_the_page_has_no_message_that_does_not_exist() -> None:
    configuration = {field.name for field in fields(AgentConfiguration)}
    assert documented().keys() - configuration == {message.TYPE for message in MESSAGES}


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert f"version **{connection.PROTOCOL_VERSION}**" in PAGE
    for code in CloseCode:
        assert f"| {code.value} | `{code.name}` |" in PAGE
    for text in (
        f"after {connection.GREETING_SECONDS:.0f} seconds",
        f"{link.ACKNOWLEDGE_BYTES >> 20} MiB or {link.ACKNOWLEDGE_MESSAGES} messages",
        f"{agent_messages.MAX_LIFE_BYTES >> 20} MiB",
        f"{magic_messages.MAX_REQUEST_BYTES >> 20} MiB",
        f"{values.MAX_BYTES >> 20} MiB",
        magic_messages.MSG_TYPE,
    ):
        assert text in " ".join(PAGE.split()), text
