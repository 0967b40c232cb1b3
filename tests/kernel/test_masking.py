"""The kernel's API key does not stay in a notebook, whatever a cell does with it by accident."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.driver import Driver, running_kernel, wait_until
from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["served"]


@pytest.fixture(scope="module")
def key(served: dict[str, str]) -> str:
    return served["DAYTONA_API_KEY"]


@pytest.fixture(scope="module")
def kernel(served: dict[str, str]) -> Iterator[Driver]:
    with running_kernel(**served) as driver:
        # The sandbox has no key. The cells of the tests do not contain this one.
        spelled = list(served["DAYTONA_API_KEY"].encode())
        assert driver.run(f"import sys, time; key = bytes({spelled}).decode()").reply["status"] == "ok"
        yield driver


def _shown(answer: Any) -> str:
    return json.dumps([[each["content"] for each in answer.messages], answer.reply])


@pytest.mark.parametrize(
    "code",
    [
        "print('the key is', key)",
        "print(key, file=sys.stderr)",
        "key",
        "{'key': key, 'header': f'Bearer {key}'}",
        "raise ValueError(f'no access with {key}')",
        "display({'text/html': f'<b>{key}</b>', 'application/json': {'key': [key]}}, raw=True)",
        "display({'text/plain': 'x'}, metadata={'key': key}, raw=True)",
        "display('x', display_id='one').update(key)",
        "from IPython.display import Markdown; Markdown(key)",
        "get_ipython().payload_manager.write_payload({'source': 'page', 'data': {'text/plain': key}})",
        "%sh echo {key}",
        "import base64; base64.b64encode(f'user:{key}'.encode())",
        "print(repr(key), [key], key.encode())",
    ],
)
def test_an_output_shows_no_key(kernel: Driver, key: str, code: str) -> None:
    answer = kernel.run(code)
    shown = _shown(answer)
    assert key not in shown
    assert base64.b64encode(f"user:{key}".encode()).decode()[:40] not in shown
    assert f"\\u2026{key[-4:]}" in shown or "\\u2026" in shown


@pytest.mark.parametrize("pause", [0.0, 0.3], ids=["at once", "later"])
def test_a_key_in_two_pieces_is_masked(kernel: Driver, key: str, pause: float) -> None:
    """Front ends join the pieces. After a pause, the first piece is there already, and the rest is masked."""
    code = (
        "for part in (key[:11], key[11:]):\n"
        f"    sys.stdout.write(part); sys.stdout.flush(); time.sleep({pause})\nprint('|')"
    )
    printed = kernel.run(code).stdout
    assert key not in printed
    assert key[11:] not in printed
    assert printed.endswith("|\n")


def test_text_that_begins_like_a_key_is_complete_and_in_order(kernel: Driver, key: str) -> None:
    code = (
        "sys.stdout.write(key[:5]); sys.stdout.flush(); display('between')\n"
        "sys.stdout.write(key[:7]); sys.stdout.flush(); print('error', file=sys.stderr, flush=True)\n"
        "sys.stdout.write(key[:9]); sys.stdout.flush()"
    )
    answer = kernel.run(code)
    assert answer.stdout == key[:5] + key[:7] + key[:9]
    kinds = [each["msg_type"] for each in answer.messages]
    assert kinds.index("display_data") > kinds.index("stream")


def test_a_prompt_that_ends_like_a_key_begins_is_shown(kernel: Driver, key: str) -> None:
    """The end of a text is held back only for a moment, and not until the cell ends."""
    msg_id = kernel.send(f"sys.stdout.write('name {key[:6]}'); sys.stdout.flush(); time.sleep(3)")
    text = ""
    while not text.endswith(key[:6]):
        message = kernel.next_output("stream", 2.5)
        text += message["content"]["text"]
    kernel.collect(msg_id)


def test_a_log_and_its_download_show_no_key(kernel: Driver, key: str) -> None:
    kernel.run("%session create one")
    answer = kernel.run(f"%session run one --async printf 'key %s\\n' {key[:8]}\"\"{key[8:]}")
    assert key not in _shown(answer)
    (comm_id,) = [
        each["comm_id"] for each in answer.contents("comm_open") if "command" in each["data"]["state"]
    ]

    def ask(**content: Any) -> dict[str, Any]:
        data = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        kernel.send_message("comm_msg", data)
        while True:
            message = kernel.next_output("comm_msg")
            said = message["content"]["data"].get("content", {})
            if said.get("to") == "page":
                return {**said, "buffers": message["buffers"]}

    texts: list[str] = []

    def lines_have_come() -> bool:
        texts[:] = [json.dumps(ask(type="read", view="page", since=0)["lines"])]
        return "key" in texts[0]

    wait_until(lines_have_come, 30)
    assert texts[0] == json.dumps([f"key …{key[-4:]}"])
    piece = ask(type="download", view="page", piece=0)
    assert bytes(piece["buffers"][0]).decode() == f"key …{key[-4:]}\n"
    bundle = ask(type="bundle", view="page")
    assert key not in json.dumps(bundle["bundle"])


def test_a_widget_keeps_its_value(kernel: Driver, key: str) -> None:
    """A page sends the state of a widget back, so a mask would become its value in the sandbox."""
    answer = kernel.run("import ipywidgets; field = ipywidgets.Password(value=key)")
    assert answer.reply["status"] == "ok"
    states = [each["data"]["state"] for each in answer.contents("comm_open")]
    assert key in [state.get("value") for state in states]


def test_a_setting_turns_the_mask_off(served: dict[str, str]) -> None:
    with running_kernel(**served, DAYTONA_KERNEL_SHOW_SECRETS="1") as driver:
        key = served["DAYTONA_API_KEY"]
        assert driver.run(f"print({key!r})").stdout == key + "\n"
