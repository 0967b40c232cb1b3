"""One command's log, followed and shown in a notebook until the command has ended.

    chunks ──→ LogBuffer ──→ batches ──→ LogView ──→ pages
                   └──→ bundles: first the view, at the end the log itself without the view

A batch goes out at once when the log was quiet, then at most ten a second, and fewer when printing
outruns them, the kernel is slow or many logs are followed: a batch holds the newest lines only, and a
page asks for earlier ones when its reader wants them. A front end that does not say that it has the
view (nbclient, a console) gets snapshots of the log instead, until it does.

A view outlives its command: a page that was reloaded meanwhile has lost the display's id, so nothing
can replace the output there but the view itself, which asks for the final bundle. It asks for
snapshots too while the command runs, for when the kernel ends without a last word.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .leftover_log import MARK
from .log_buffer import Excerpt, LogBuffer
from .log_download import LogDownload
from .pace import PACE
from .saved_log import Heading, html_snapshot, plain_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from ..wire.logs import LogChunk
    from .log_view import LogView

Bundle = dict[str, Any]

_BATCH_INTERVAL = 0.1
_FLOOD_INTERVAL = 0.4
_SLOWEST_INTERVAL = 1.0
_TURN_BYTES = 256 << 10
_REST = 2.0  # times as long as a turn took
_BATCH_LINES = 500
_FLOOD_LINES = 100
_BATCH_CHARACTERS = 64 << 10
_ANSWER_LINES = 5_000
_ANSWER_CHARACTERS = 1 << 20
_SNAPSHOT_LINES = 200
_SNAPSHOT_CHARACTERS = 32 << 10
_FINAL_LINES = 1_000
_FINAL_CHARACTERS = 128 << 10
_SNAPSHOT_INTERVAL = 2.0
_LINE_BYTES = 8  # what goes with the text of a line, and with each of its styles


class LogDisplay:
    """The display of a command's log. Call `show` in the cell, then await `run` in a task.

    chunks: the log as it grows; ends when the command has ended, raises when it cannot be followed.
    publish: sends a bundle and its metadata as `display_data`, or where its third argument is true as
        `update_display_data`, always with the same display id; under the parent of the cell that is
        running at that moment, or else of the cell that showed it.
    stop: ends the command; what it returns is shown in the view. send_input: writes text to the
        command's stdin. Both may raise; what they say is shown too.
    download: the bytes of the whole log so far, from its beginning; ends without waiting for more.
    exit_code: asked once the log has ended; `None` if nobody knows.
    started: when the command began, in seconds since the epoch; `None`: now.

    All methods are called on the asyncio loop that runs `run`; messages from pages may come from any
    thread.
    """

    def __init__(
        self,
        chunks: AsyncIterator[LogChunk],
        *,
        command: str,
        session: str,
        publish: Callable[[Bundle, dict[str, Any], bool], None],
        stop: Callable[[], Awaitable[str | None]],
        send_input: Callable[[str], Awaitable[None]],
        download: Callable[[], AsyncIterator[bytes]],
        exit_code: Callable[[], Awaitable[int | None]],
        started: float | None = None,
    ) -> None:
        self.command = command
        self.session = session
        self.buffer = LogBuffer()
        self.state = "running"
        self.exit_status: int | None = None
        self._reason = ""
        self._chunks = chunks
        self._publish = publish
        self._stop = stop
        self._send_input = send_input
        self._download = download
        self._exit_code = exit_code
        self._started = time.time() if started is None else started
        self._ended: float | None = None
        self._stopping = False
        self._view: LogView | None = None
        self._seen = False
        self._replaced = False
        self._news = asyncio.Event()
        self._sent = 0
        self._final: Bundle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._downloads: dict[str, LogDownload] = {}

    def show(self) -> None:
        """Publish the view, as the output of the cell that is running."""
        # Imported here, since most kernels never show a log and it takes 180 ms.
        from .log_view import LogView

        self._loop = asyncio.get_running_loop()
        self._view = LogView(command=self.command, session=self.session, elapsed=self.elapsed)
        self._view.on_message(self._receive)
        self._publish_view(update=False)

    async def run(self) -> None:
        """Follow the log to its end, and replace the view by the final log.

        When cancelled, the last state known takes the view's place, and says that the command runs on.
        """
        sender = asyncio.create_task(self._send_batches())
        snapshots = asyncio.create_task(self._publish_snapshots())
        try:
            taken, worked = 0, time.thread_time()
            async for chunk in self._chunks:
                self.buffer.feed(chunk, time.time())
                self._news.set()
                taken += len(chunk.data)
                if taken >= _TURN_BYTES:
                    # A flood that waits in its pipe loses nothing; cells that wait for it do.
                    await asyncio.sleep(_REST * (time.thread_time() - worked))
                    taken, worked = 0, time.thread_time()
            self.exit_status = await self._exit_code()
            self.state = "stopped" if self._stopping else "exited"
        except asyncio.CancelledError:
            self._lose("the kernel stopped following it")
            raise
        except Exception as error:
            self._lose(str(error))
        finally:
            sender.cancel()
            snapshots.cancel()
            self._end()
            if aclose := getattr(self._chunks, "aclose", None):
                await aclose()

    def close(self) -> None:
        """Forget the view: a page that still shows it shows it no longer."""
        for view in list(self._downloads):
            self._start(self._end_download(view))
        if self._view is not None:
            self._view.close()
            self._view = None

    @property
    def elapsed(self) -> float:
        """Seconds from the command's start to its end, or to now."""
        return max((self._ended or time.time()) - self._started, 0.0)

    def _lose(self, reason: str) -> None:
        self.state, self._reason = "lost", reason
        self._notify(f"The log is no longer followed: {reason}")

    def _end(self) -> None:
        self._ended = time.time()
        self.buffer.finish()
        self._send_news()
        self._final = self._snapshot()
        if self._view is not None:
            with self._view.hold_sync():
                self._view.elapsed = self.elapsed
                self._view.exit_code = self.exit_status
                self._view.state = self.state
        self.buffer.shrink(_FINAL_LINES, _FINAL_CHARACTERS)
        self._publish(self._final, {}, True)

    async def _send_batches(self) -> None:
        interval, limit = _BATCH_INTERVAL, _BATCH_LINES
        while True:
            await self._news.wait()
            self._news.clear()
            begun = time.monotonic()
            whole, size = self._send_news(limit)
            cost = time.monotonic() - begun
            # Nobody reads what outruns a batch: then less is more, and a slow kernel is spared.
            limit = _BATCH_LINES if whole else _FLOOD_LINES
            interval = _BATCH_INTERVAL if whole else min(2 * interval, _FLOOD_INTERVAL)
            pause = min(max(interval, 20 * cost), _SLOWEST_INTERVAL)
            await asyncio.sleep(max(pause, PACE.spend(size)) if size else pause)

    def _send_news(self, limit: int = _BATCH_LINES) -> tuple[bool, int]:
        """Send what is new, or the newest lines of it; return whether that was all, and its bytes."""
        excerpt = self.buffer.read(self._sent, max_lines=limit, max_characters=_BATCH_CHARACTERS)
        whole = excerpt.first <= self._sent
        self._sent = self.buffer.next_line
        if self._view is None or not self._seen:
            return whole, 0
        self._view.send(self._lines_message(excerpt))
        lines = [*excerpt.lines, excerpt.unfinished] if excerpt.unfinished else excerpt.lines
        return whole, sum(len(line.text) + _LINE_BYTES * (1 + len(line.runs)) for line in lines)

    def _lines_message(self, excerpt: Excerpt, **more: Any) -> dict[str, Any]:
        from .log_view import encode_line

        return {
            "type": "lines",
            "first": excerpt.first,
            "lines": [encode_line(line) for line in excerpt.lines],
            "last": encode_line(excerpt.unfinished) if excerpt.unfinished else None,
            "times": excerpt.times,
            "start": self.buffer.first_line,
            "count": self.buffer.line_count,
            "bytes": self.buffer.byte_count,
            "elapsed": self.elapsed,
            "state": self.state,
            "exit_code": self.exit_status,
            **more,
        }

    async def _publish_snapshots(self) -> None:
        shown = -1
        while True:
            await asyncio.sleep(_SNAPSHOT_INTERVAL)
            if self._seen:
                return
            if self.buffer.byte_count != shown:
                shown = self.buffer.byte_count
                self._replaced = True
                self._publish(self._snapshot(), {}, True)

    def _meet_page(self) -> None:
        """Take note that a page has the view; where it was late, the view takes its place again."""
        self._seen = True
        if self._replaced and self._ended is None and self._view is not None:
            self._replaced = False
            self._publish_view(update=True)

    def _publish_view(self, *, update: bool) -> None:
        assert self._view is not None
        mark = {MARK: {"command": self.command, "session": self.session}}
        self._publish(self._view.bundle() | self._snapshot(), mark, update)

    def _snapshot(self) -> Bundle:
        final = self._ended is not None
        excerpt = self.buffer.read(
            max_lines=_FINAL_LINES if final else _SNAPSHOT_LINES,
            max_characters=_FINAL_CHARACTERS if final else _SNAPSHOT_CHARACTERS,
        )
        heading = Heading(
            command=self.command,
            session=self.session,
            state=self.state,
            exit_code=self.exit_status,
            reason=self._reason,
            elapsed=self.elapsed,
            line_count=self.buffer.line_count,
            byte_count=self.buffer.byte_count,
        )
        return {
            "text/html": html_snapshot(heading, excerpt),
            "text/plain": plain_snapshot(heading, excerpt),
        }

    def _receive(self, content: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._handle, content)

    def _handle(self, content: dict[str, Any]) -> None:
        match content:
            case {"type": "present"}:
                self._meet_page()
            case {"type": "read", "view": view}:
                self._meet_page()
                self._answer_read(view, content.get("since") or 0, content.get("before"))
            case {"type": "stop"}:
                self._start(self._stop_command())
            case {"type": "input", "text": str(text)}:
                self._start(self._say(self._send_input(text)))
            case {"type": "download", "view": view, "piece": int(piece)}:
                self._start(self._send_piece(view, piece))
            case {"type": "downloaded", "view": view}:
                self._start(self._end_download(view))
            case {"type": "bundle", "view": view} if self._view is not None:
                answer = {"bundle": self._final or self._snapshot(), "model_id": self._view.model_id}
                self._view.send({"type": "bundle", "to": view, "state": self.state, **answer})

    def _answer_read(self, view: str, since: int, before: int | None) -> None:
        excerpt = self.buffer.read(since, before, max_lines=_ANSWER_LINES, max_characters=_ANSWER_CHARACTERS)
        if self._view is not None:
            self._view.send(self._lines_message(excerpt, to=view, before=before))

    async def _stop_command(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        try:
            if said := await self._stop():
                self._notify(said)
        except Exception as error:
            self._stopping = False
            self._notify(str(error))

    async def _say(self, effect: Awaitable[None]) -> None:
        """Await an effect that a page asked for, and show there what went wrong."""
        try:
            await effect
        except Exception as error:
            self._notify(str(error))

    async def _send_piece(self, view: str, piece: int) -> None:
        """Send one piece of the whole log: the page asks for each, so none waits in memory."""
        if piece == 0:
            await self._end_download(view)
            self._downloads[view] = LogDownload(self._download())
        answer: dict[str, Any] = {"type": "piece", "to": view, "piece": piece}
        data = b""
        try:
            if view not in self._downloads:
                raise ValueError("it was interrupted; start it again")
            data, answer["last"] = await self._downloads[view].read(piece)
        except Exception as error:
            answer["error"] = str(error)
        if self._view is not None:
            self._view.send(answer, buffers=[data])

    async def _end_download(self, view: str) -> None:
        if download := self._downloads.pop(view, None):
            await download.aclose()

    def _notify(self, text: str) -> None:
        if self._view is not None:
            self._view.send({"type": "notice", "text": text[:1].upper() + text[1:]})

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
