"""A kernel with followed commands, and pages that speak to it as a browser would, over real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"

PREPARE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.views.followed import FollowedCommand
"""


class Kernel:
    """ipykernel, whose loop follows the commands. `seen` holds each message that it published."""

    name = "python3"

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name=self.name)
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.seen: list[dict[str, Any]] = []
        self.prepare()

    def prepare(self) -> None:
        """Run the first cell."""
        self.execute(PREPARE)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def execute(self, code: str, timeout: float = 60) -> str:
        """Run a cell; return the text of its result."""
        parent = self.client.execute(code)

        def is_idle(message: dict[str, Any]) -> bool:
            return (
                message["parent_header"].get("msg_id") == parent
                and message["msg_type"] == "status"
                and message["content"]["execution_state"] == "idle"
            )

        begun = len(self.seen)
        self.wait(is_idle, timeout, begun)
        own = [m for m in self.seen[begun:] if m["parent_header"].get("msg_id") == parent]
        errors = [m["content"] for m in own if m["msg_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])
        results = [m["content"]["data"]["text/plain"] for m in own if m["msg_type"] == "execute_result"]
        return results[0] if results else ""

    def wait(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 20, begun: int = 0
    ) -> dict[str, Any]:
        """Return the first message published since `begun` that is wanted."""
        deadline = time.monotonic() + timeout
        while True:
            while begun < len(self.seen):
                if wanted(self.seen[begun]):
                    return self.seen[begun]
                begun += 1
            left = deadline - time.monotonic()
            assert left > 0, f"not published within {timeout} s"
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Empty:
                continue
            message["arrived"] = time.monotonic()
            self.seen.append(message)

    def listen(self, seconds: float) -> list[dict[str, Any]]:
        """Return what is published in the next seconds."""
        begun = len(self.seen)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Empty:
                break
            message["arrived"] = time.monotonic()
            self.seen.append(message)
        return self.seen[begun:]

    def begin(self, command: str, name: str) -> None:
        """Run the cell that begins a command."""
        self.execute(f"{name} = FollowedCommand({command!r})")

    def follow(self, command: str, *, present: bool = True, name: str = "c") -> Page:
        """Follow a command in a cell, and be the page that shows it."""
        begun = len(self.seen)
        self.begin(command, name)
        shown = self.wait(lambda m: WIDGET in m["content"].get("data", {}), begun=begun)
        return Page(self, shown["content"]["data"][WIDGET]["model_id"], begun, present=present)


class SandboxKernel(Kernel):
    """The kernel of this package: commands run in sessions of its sandbox, of the names they are given."""

    name = "daytona"

    def prepare(self) -> None:
        """Run the first cell."""
        self.execute("1")

    def begin(self, command: str, name: str) -> None:
        """Run the cell that begins a command."""
        self.execute(f"%session create {name}")
        self.execute(f"%%session {name} --async\n{command}")


class Page:
    """One page that holds the model of one log view."""

    def __init__(self, kernel: Kernel, model: str, begun: int, *, present: bool = True) -> None:
        self.kernel = kernel
        self.model = model
        self.begun = begun
        self.name = f"page-{time.monotonic_ns()}"
        if present:
            self.send({"type": "present"})
            self.send({"type": "read", "since": 0})

    def send(self, content: dict[str, Any]) -> None:
        """Send a custom message to the view in the kernel."""
        data = {"method": "custom", "content": {"view": self.name, **content}}
        message = self.kernel.client.session.msg("comm_msg", {"comm_id": self.model, "data": data})
        self.kernel.client.shell_channel.send(message)

    def is_custom(self, kind: str, *, answer: bool = False) -> Callable[[dict[str, Any]], bool]:
        """Whether a message is of that kind, from this view, and meant for this page (alone: `answer`)."""

        def claimed(message: dict[str, Any]) -> bool:
            if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.model:
                return False
            content = message["content"]["data"].get("content", {})
            to = content.get("to")
            return content.get("type") == kind and (to == self.name or (to is None and not answer))

        return claimed

    def wait(self, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, **more: Any) -> Any:
        """Return the content of the first custom message of a kind that is wanted."""
        is_kind = self.is_custom(kind, answer=more.pop("answer", False))
        message = self.kernel.wait(
            lambda m: is_kind(m) and wanted(m["content"]["data"]["content"]),
            begun=more.pop("begun", self.begun),
            **more,
        )
        return message["content"]["data"]["content"] | {"buffers": message["buffers"]}

    def ask(self, kind: str, content: dict[str, Any]) -> Any:
        """Send a message, and return the answer that is meant for this page."""
        begun = len(self.kernel.seen)
        self.send(content)
        return self.wait(kind, answer=True, begun=begun)

    def download(self) -> Iterator[bytes]:
        """Yield the pieces of the whole log, asked for as a view does."""
        piece, last = 0, False
        while not last:
            answer = self.ask("piece", {"type": "download", "piece": piece})
            assert "error" not in answer, answer["error"]
            yield bytes(answer["buffers"][0])
            piece, last = piece + 1, answer["last"]
        self.send({"type": "downloaded"})

    def bundles(self) -> list[dict[str, Any]]:
        """The bundles published for this view so far, the first one with its view."""
        own = self.display_id
        return [
            m["content"]["data"] for m in self._displays() if m["content"]["transient"]["display_id"] == own
        ]

    @property
    def display_id(self) -> str:
        """The id of the display that shows this view."""
        shown = next(
            m["content"]
            for m in self._displays()
            if m["content"]["data"].get(WIDGET, {}).get("model_id") == self.model
        )
        return str(shown["transient"]["display_id"])

    def _displays(self) -> list[dict[str, Any]]:
        types = {"display_data", "update_display_data"}
        return [m for m in self.kernel.seen[self.begun :] if m["msg_type"] in types]

    def final(self, timeout: float = 20) -> dict[str, Any]:
        """Wait for the command's end and return the bundle that stays."""
        self.kernel.wait(
            lambda m: (
                m["msg_type"] == "comm_msg"
                and m["content"]["comm_id"] == self.model
                and m["content"]["data"].get("state", {}).get("state", "running") != "running"
            ),
            timeout,
            self.begun,
        )
        own = self.display_id
        self.kernel.wait(
            lambda m: (
                m["msg_type"] == "update_display_data"
                and m["content"]["transient"]["display_id"] == own
                and "still running" not in m["content"]["data"]["text/plain"]
            ),
            timeout,
            self.begun,
        )
        return self.bundles()[-1]
