"""The normalization of values that differ between any two executions: addresses, ids, times, paths.

The rules are the same for both kernels. An id is replaced by its position in the order of appearance, so
that references between messages are still compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

# Ids of messages and message sessions; uuids with and without dashes, and halves of uuids.
_ID = re.compile(
    r"(?<![0-9a-f])"
    r"(?:[0-9a-f]{8}-[0-9a-f]{24}(?:_\d+_\d+)?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{16})"
    r"(?![0-9a-f])"
)
_RULES = [
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x…"),
    (re.compile(r" object at [0-9a-f]{8,}\b"), " object at …"),
    (re.compile(r"\bipykernel_\d+/"), "ipykernel_…/"),
    (re.compile(r"\b(tmp|ipython_edit_)\w{8}\b"), r"\1…"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"^(CPU times|Wall time|Compiler time): .*$", re.MULTILINE), r"\1: …"),
    (re.compile(r"^The slowest run took .*\n", re.MULTILINE), ""),
    (re.compile(r"^.* ± .* (per loop \(mean ± std\. dev\. of )", re.MULTILINE), r"… \1"),
]
# Longer texts are compared by their digests, and reported by their two ends.
_LONG = 200_000


class Normalizer:
    """Normalizes one execution, from its first message to its last.

    places: the directories of this execution, and the replacement of each.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._ids: dict[str, str] = {}

    def value(self, value: Any) -> Any:
        """Return a JSON value, or bytes, in its normalized form."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        if isinstance(value, bytes | memoryview):
            return f"<{len(value)} bytes {hashlib.sha256(value).hexdigest()[:16]}>"
        return value

    def text(self, text: str) -> str:
        """Return a text in its normalized form."""
        if len(text) > _LONG:
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            return f"{text[:80]}… <{len(text)} characters {digest}> …{text[-80:]}"
        for place, name in self._places.items():
            # A longer name may begin with a place: /home/daytona-2 is not in /home/daytona.
            text = re.sub(re.escape(place) + r"(?![\w-])", name, text)
        text = _ID.sub(self._id, text)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        return text

    def _id(self, match: re.Match[str]) -> str:
        return self._ids.setdefault(match[0], f"<id {len(self._ids) + 1}>")


def merged(items: list[Any], stream_of: Callable[[Any], Any]) -> list[Any]:
    """Join consecutive streams of one name, as front ends do.

    stream_of: returns the mapping with an item's `name` and `text`, or None for other items. The mapping
        is changed.
    """
    joined: list[Any] = []
    for item in items:
        stream = stream_of(item)
        last = stream_of(joined[-1]) if joined else None
        if stream is not None and last is not None and stream["name"] == last["name"]:
            last["text"] += stream["text"]
        else:
            joined.append(item)
    return joined


def merged_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with joined streams, without the fields that no front end uses.

    Only the first `busy` counts: this kernel repeats it after each request beside a running cell.
    """
    names = ("msg_type", "content", "metadata", "buffers")
    busy = [each for each in messages if each["content"].get("execution_state") == "busy"]
    messages = [each for each in messages if each not in busy[1:]]
    kept = [{**{name: each[name] for name in names}, "content": dict(each["content"])} for each in messages]
    return merged(kept, lambda each: each["content"] if each["msg_type"] == "stream" else None)


def merged_outputs(outputs: list[Any]) -> list[Any]:
    """Return a cell's outputs with joined streams."""
    return merged(outputs, lambda each: each if each["output_type"] == "stream" else None)
