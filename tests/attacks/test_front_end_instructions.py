"""Code in a sandbox that tells the front end what to do, or what language a notebook is in."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.kernel.driver import Driver, running_kernel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAYLOADS: list[object] = [
    {"source": "edit_magic", "filename": 'x"; touch canary; "', "line_number": 1},
    {"source": "edit", "filename": "/etc/passwd", "line_number": 1},
    {"source": "made_up", "text": "x"},
    ["no", "object"],
    {"source": ["list"]},
]
# The next interpreter runs this before its first cell.
_HOSTILE_START = """
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelbase import Kernel
hostile = {
    "name": "python\\n", "version": "3.11.2; hostile", "mimetype": "text/html", "file_extension": "/../x",
    "pygments_lexer": "hostile_module", "nbconvert_exporter": "hostile_module.Exporter",
    "codemirror_mode": {"name": "htmlmixed"}, "more": "x",
}
Kernel.kernel_info = property(lambda self: {
    "status": "ok", "protocol_version": "9", "implementation": "hostile", "implementation_version": "9",
    "language_info": hostile, "banner": "hostile", "help_links": [{"text": "x", "url": "javascript:1"}],
    "supported_features": ["kernel subshells", "hostile"],
})
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    with running_kernel() as driver:
        yield driver


def _send(channel: str, msg_type: str, content: dict[str, Any]) -> str:
    """Return code that sends a forged message as an answer to its cell."""
    socket = {"iopub": "kernel.iopub_socket", "shell": "kernel.shell_stream"}[channel]
    return (
        "import json; kernel = get_ipython().kernel\n"
        f"kernel.session.send({socket}, {msg_type!r}, json.loads({json.dumps(content)!r}), "
        "parent=kernel.get_parent(), ident=getattr(kernel, '_parent_ident', {}).get('shell'))"
    )


def test_a_reply_asks_for_no_program(kernel: Driver) -> None:
    """A console runs an editor for a payload, with the given file's name in a shell command."""
    write = "get_ipython().payload_manager.write_payload"
    code = "\n".join(
        f"{write}({payload!r}, single=False)" for payload in _PAYLOADS if isinstance(payload, dict)
    )
    honest = {"source": "set_next_input", "text": "1 + 1", "replace": False}
    assert kernel.run(f"{code}\n{write}({honest!r})").reply["payload"] == [honest]


@pytest.mark.parametrize(
    "text",
    [
        "%download /tmp/evil ~/.bashrc --force",
        "1\n2; x = % upload ~/.ssh/id_canary /tmp",
        "upload ~/.ssh/id_canary /tmp",
        "%%local\nopen('/tmp/canary', 'w')",
        "get_ipython().run_line_magic('upload', 'a b')",
        "x\r%sandbox delete",
    ],
)
def test_a_text_for_the_next_cell_runs_no_magic_that_reaches_further(kernel: Driver, text: str) -> None:
    """A person who presses Shift+Enter again would make it the text of a cell."""
    (payload,) = kernel.run(f"get_ipython().set_next_input({text!r}, replace=True)").reply["payload"]
    assert payload["source"] == "set_next_input"
    lines = payload["text"].splitlines()
    assert len(lines) > 1
    assert all(line.startswith("# ") for line in lines)


def test_an_honest_text_for_the_next_cell_stays(kernel: Driver) -> None:
    text = "%sh ls\nx = {}.get('download')  # 100 % 7"
    (payload,) = kernel.run(f"get_ipython().set_next_input({text!r})").reply["payload"]
    assert payload["text"] == text


@pytest.mark.parametrize("payload", [_PAYLOADS, {"source": "edit"}, "edit_magic", 7, None])
def test_a_forged_reply_has_known_payloads_only(kernel: Driver, payload: object) -> None:
    reply: dict[str, Any] = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": payload}
    assert kernel.run(_send("shell", "execute_reply", reply)).reply["payload"] in ([], None)
    assert kernel.run("6 * 7").result == "42"


def test_the_sandbox_does_not_announce_the_kernels_end(kernel: Driver) -> None:
    forged: list[tuple[str, dict[str, Any]]] = [
        ("shutdown_reply", {"status": "ok", "restart": False}),
        ("status", {"execution_state": "dead"}),
        ("status", {"execution_state": "restarting"}),
        ("status", {"execution_state": ["idle"]}),
    ]
    for msg_type, content in forged:
        answer = kernel.run(_send("iopub", msg_type, content))
        assert answer.contents("shutdown_reply") == []
        states = [status["execution_state"] for status in answer.contents("status")]
        assert states == ["busy", "idle"]


def test_the_sandbox_says_only_the_version_of_the_language(tmp_path: Path) -> None:
    with running_kernel() as driver:
        honest = driver.request("kernel_info_request", {})
        driver.run(
            "import pathlib, os\n"
            "start = pathlib.Path(get_ipython().profile_dir.startup_dir) / 'hostile.py'\n"
            f"_ = start.write_text({_HOSTILE_START!r})"
        )
        driver.send("os._exit(1)")
        wait_until(
            lambda: driver.request("kernel_info_request", {})["supported_features"] == ["kernel subshells"],
            60,
            "the hostile interpreter has not started",
        )
        claimed = driver.request("kernel_info_request", {})
    assert claimed["language_info"] == {**honest["language_info"], "version": "3.11.2"}
    assert {**claimed, "language_info": 0, "supported_features": 0} == {
        **honest,
        "language_info": 0,
        "supported_features": 0,
    }
    # What a front end saves, a tool of the notebook's machine may import.
    (tmp_path / "hostile_module.py").write_text("open('canary', 'w')")
    notebook = nbformat.v4.new_notebook(metadata={"language_info": claimed["language_info"]})
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    convert = [sys.executable, "-m", "nbconvert", "--to", "script", "saved.ipynb"]
    subprocess.run(convert, cwd=tmp_path, check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hostile_module.py",
        "saved.ipynb",
        "saved.py",
    ]
