"""The gate: the check of an interpreter's messages before front ends get them.

Code in the sandbox writes these messages. An output only shows something. Other parts make a front end
act, or describe the kernel to it: the payloads of a reply, a status, the description of the language. The
gate lets through what an honest interpreter needs of them, and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...wire.messages import Message

_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,3}")

# What a payload asks of a front end: to show a text, to put one into the next cell, and to end a console.
# Others, such as `edit_magic`, make a console start programs on the notebook's machine.
_NEXT_INPUT = "set_next_input"
_PAYLOADS = ("page", _NEXT_INPUT, "ask_exit")
# The kernel itself announces its start and its end.
_STATES = ("busy", "idle")


# The kernel takes a cell's text as the person's wish, so a text of the sandbox must not become one unseen.
_NOT_YOURS = (
    "# Code in the sandbox put this text here. It contains magics that reach your machine or your account:"
)


def admit(message: Message, reaching: re.Pattern[str]) -> Message | None:
    """Return a message as front ends may have it, or None if they must not have it.

    reaching: finds magics that reach further than the sandbox; see `reaching_magics`.
    """
    if message.msg_type == "status":
        return message if message.content.get("execution_state") in _STATES else None
    if message.msg_type == "execute_reply":
        return _with_known_payloads(message, reaching)
    # ipykernel publishes its end there, and a console believes that the kernel has ended.
    return None if message.channel == "iopub" and message.msg_type == "shutdown_reply" else message


def language_version(kernel_info: Mapping[str, Any], default: str) -> str:
    """Return the version of the interpreter's language: digits and dots. `default` is for a malformed one."""
    info = kernel_info.get("language_info")
    version = info.get("version") if isinstance(info, dict) else None
    found = _VERSION.match(version) if isinstance(version, str) else None
    return found[0] if found else default


def features(kernel_info: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    """Return the known features that an interpreter has; all of them if it does not list them."""
    claimed = kernel_info.get("supported_features")
    return [each for each in known if not isinstance(claimed, list) or each in claimed]


def reaching_magics(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds the magics with these names in a text, however they are written."""
    either = "|".join(map(re.escape, names))
    return re.compile(rf"%\s*(?:{either})\b|\A\s*(?:{either})\b|run_(?:line|cell)_magic")


def _with_known_payloads(message: Message, reaching: re.Pattern[str]) -> Message:
    content = message.content
    payloads = content.get("payload", [])
    known = (
        [_clean(each, reaching) for each in payloads if _is_known(each)] if isinstance(payloads, list) else []
    )
    return message if known == payloads else message.with_content({**content, "payload": known})


def _is_known(payload: object) -> bool:
    return isinstance(payload, dict) and payload.get("source") in _PAYLOADS


def _clean(payload: dict[str, Any], reaching: re.Pattern[str]) -> dict[str, Any]:
    """Return a payload whose text for the next cell runs no magic that reaches further than the sandbox."""
    text = payload.get("text")
    if payload["source"] != _NEXT_INPUT or not isinstance(text, str) or not reaching.search(text):
        return payload
    return {**payload, "text": "\n".join([_NOT_YOURS, *(f"# {line}" for line in text.splitlines())])}
