"""A kernel with followed commands, and pages that send it the messages of a browser, over real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

from daytona_kernel.views import WIDGET_MIME_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent

PREPARE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.views.followed import FollowedCommand
"""


class Kernel:
    """A plain ipykernel that follows commands on its own loop. `seen` has each message that it published."""

    name = "python3"

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name=self.name)
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.seen: list[dict[str, Any]] = []
        self.prepare()

    def prepare(self) -> None:
        """Run the first cell."""
        self.execute(PREPARE)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def execute(self, code: str, timeout: float = 120) -> str:
        """Run a cell; return the text of its result."""
        parent = self.client.execute(code)

        def is_idle(message: dict[str, Any]) -> bool:
            if message["parent_header"].get("msg_id") != parent or message["msg_type"] != "status":
                return False
            return bool(message["content"]["execution_state"] == "idle")

        since = len(self.seen)
        self.wait(is_idle, timeout, since)
        own = [m for m in self.seen[since:] if m["parent_header"].get("msg_id") == parent]
        errors = [m["content"] for m in own if m["msg_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])
        results = [m["content"]["data"]["text/plain"] for m in own if m["msg_type"] == "execute_result"]
        return results[0] if results else ""

    def wait(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 60, since: int = 0
    ) -> dict[str, Any]:
        """Return the first wanted message. `since` is an index in `seen`."""
        deadline = time.monotonic() + timeout
        while True:
            while since < len(self.seen):
                if wanted(self.seen[since]):
                    return self.seen[since]
                since += 1
            left = deadline - time.monotonic()
            assert left > 0, f"not published within {timeout} s"
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Empty:
                continue
            self._add(message)

    def listen(self, seconds: float) -> list[dict[str, Any]]:
        """Return the messages of the next seconds."""
        since = len(self.seen)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Empty:
                break
            self._add(message)
        return self.seen[since:]

    def _add(self, message: dict[str, Any]) -> None:
        message["arrived"] = time.monotonic()
        self.seen.append(message)

    def start(self, command: str, name: str) -> None:
        """Run a cell that starts a command."""
        self.execute(f"{name} = FollowedCommand({command!r})")

    def follow(self, command: str, *, present: bool = True, name: str = "c") -> Page:
        """Follow a command in a cell, and return a page that shows it. present: the page has the view."""
        since = len(self.seen)
        self.start(command, name)
        shown = self.wait(lambda m: WIDGET_MIME_TYPE in m["content"].get("data", {}), since=since)
        return Page(self, shown["content"]["data"][WIDGET_MIME_TYPE]["model_id"], since, present=present)


class SandboxKernel(Kernel):
    """The kernel of this package. Each command runs in a session of the sandbox."""

    name = "daytona"

    def prepare(self) -> None:
        """Run the first cell."""
        self.execute("1")

    def start(self, command: str, name: str) -> None:
        """Run the cells that start a command in a new session."""
        self.execute(f"%session create {name}")
        self.execute(f"%%session {name} --async\n{command}")


class Page:
    """A page with the model of one log view. Messages before index `since` do not concern it."""

    def __init__(self, kernel: Kernel, model: str, since: int, *, present: bool = True) -> None:
        self.kernel = kernel
        self.model = model
        self.since = since
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
        """Return a test for messages of a kind to this page. answer: only messages to no other page."""

        def matches(message: dict[str, Any]) -> bool:
            if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.model:
                return False
            content = message["content"]["data"].get("content", {})
            to = content.get("to")
            return content.get("type") == kind and (to == self.name or (to is None and not answer))

        return matches

    def wait(self, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, **more: Any) -> Any:
        """Return the content of the first wanted custom message of a kind."""
        is_kind = self.is_custom(kind, answer=more.pop("answer", False))
        message = self.kernel.wait(
            lambda m: is_kind(m) and wanted(m["content"]["data"]["content"]),
            since=more.pop("since", self.since),
            **more,
        )
        return message["content"]["data"]["content"] | {"buffers": message["buffers"]}

    def ask(self, kind: str, content: dict[str, Any]) -> Any:
        """Send a message, and return the answer to this page."""
        since = len(self.kernel.seen)
        self.send(content)
        return self.wait(kind, answer=True, since=since)

    def download(self) -> Iterator[bytes]:
        """Ask for the whole log as a view does, and yield its pieces."""
        piece, last = 0, False
        while not last:
            answer = self.ask("piece", {"type": "download", "piece": piece})
            assert "error" not in answer, answer["error"]
            yield bytes(answer["buffers"][0])
            piece, last = piece + 1, answer["last"]
        self.send({"type": "downloaded"})

    def bundles(self) -> list[dict[str, Any]]:
        """Return the bundles published for this view so far. The first contains the view."""
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
            if m["content"]["data"].get(WIDGET_MIME_TYPE, {}).get("model_id") == self.model
        )
        return str(shown["transient"]["display_id"])

    def _displays(self) -> list[dict[str, Any]]:
        types = {"display_data", "update_display_data"}
        return [m for m in self.kernel.seen[self.since :] if m["msg_type"] in types]

    def final(self, timeout: float = 60) -> dict[str, Any]:
        """Wait for the command's end, and return the saved log."""
        self.kernel.wait(
            lambda m: (
                m["msg_type"] == "comm_msg"
                and m["content"]["comm_id"] == self.model
                and m["content"]["data"].get("state", {}).get("state", "running") != "running"
            ),
            timeout,
            self.since,
        )
        own = self.display_id
        self.kernel.wait(
            lambda m: (
                m["msg_type"] == "update_display_data"
                and m["content"]["transient"]["display_id"] == own
                and "still running" not in m["content"]["data"]["text/plain"]
            ),
            timeout,
            self.since,
        )
        return self.bundles()[-1]
