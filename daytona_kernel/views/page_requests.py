"""What pages ask of a log display: its lines, its saved log, and Stop, input and downloads of the command.

A page's messages are parsed here, and those that no page of this project sends are dropped; see log_view.
A request that reaches the command runs in a task, and its reader sees its error in the view.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..masking import mask_pieces
from .log_download import INTERRUPTED, LogDownload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

_MAX_NUMBER = 1 << 53  # a page has no larger integers


class PageRequests:
    """The requests of all pages that show one log. It belongs to one event loop.

    send: sends a message and its buffers to the pages.
    greet: called for each page that has the view.
    send_lines: answers a view that reads: its id, the line to start at, and the line to end before or None.
    send_saved_log: answers a view that asks for the saved log.
    stop, send_input, download: as for LogDisplay.
    """

    def __init__(
        self,
        *,
        send: Callable[[dict[str, Any], list[bytes]], None],
        greet: Callable[[], None],
        send_lines: Callable[[str, int, int | None], None],
        send_saved_log: Callable[[str], None],
        stop: Callable[[], Awaitable[str | None]],
        send_input: Callable[[str], Awaitable[None]],
        download: Callable[[], AsyncIterator[bytes]],
    ) -> None:
        self.stopping = False
        """Whether a page has asked for the command's end, without an error so far."""
        self._send = send
        self._greet = greet
        self._send_lines = send_lines
        self._send_saved_log = send_saved_log
        self._stop = stop
        self._send_input = send_input
        self._download = download
        self._downloads: dict[str, LogDownload] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, content: dict[str, Any]) -> None:
        """Carry out or start what a page's message asks for."""
        match content:
            case {"type": "present"}:
                self._greet()
            case {"type": "read", "view": str(view)}:
                self._greet()
                self._send_lines(view, _number(content.get("since")) or 0, _number(content.get("before")))
            case {"type": "stop"}:
                self._start_task(self._stop_command())
            case {"type": "input", "text": str(text)}:
                self._start_task(self._write_input(text))
            case {"type": "download", "view": str(view), "piece": int(piece)}:
                self._start_task(self._send_piece(view, piece))
            case {"type": "downloaded", "view": str(view)}:
                self._start_task(self._end_download(view))
            case {"type": "bundle", "view": str(view)}:
                self._send_saved_log(view)

    def notify(self, text: str) -> None:
        """Show a text in all views."""
        self._send({"type": "notice", "text": text[:1].upper() + text[1:]}, [])

    def close(self) -> None:
        """End the downloads."""
        for view in list(self._downloads):
            self._start_task(self._end_download(view))

    async def _stop_command(self) -> None:
        if self.stopping:
            return
        self.stopping = True
        try:
            if text := await self._stop():
                self.notify(text)
        except Exception as error:  # noqa: BLE001  (the log's reader sees the error)
            self.stopping = False
            self.notify(str(error))

    async def _write_input(self, text: str) -> None:
        try:
            await self._send_input(text)
        except Exception as error:  # noqa: BLE001  (the log's reader sees the error)
            self.notify(str(error))

    async def _send_piece(self, view: str, piece: int) -> None:
        if piece == 0:
            await self._end_download(view)
            self._downloads[view] = LogDownload(mask_pieces(self._download()))
        answer: dict[str, Any] = {"type": "piece", "to": view, "piece": piece}
        data = b""
        if download := self._downloads.get(view):
            try:
                data, answer["last"] = await download.read(piece)
            except Exception as error:  # noqa: BLE001  (the log's reader sees the error)
                answer["error"] = str(error)
        else:
            answer["error"] = INTERRUPTED
        self._send(answer, [data])

    async def _end_download(self, view: str) -> None:
        if download := self._downloads.pop(view, None):
            await download.aclose()

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _number(value: object) -> int | None:
    """Return the number of a line in a page's message, or None if it is not such a number."""
    return value if isinstance(value, int) and 0 <= value < _MAX_NUMBER else None
