"""One command's log: follows it and shows it in a notebook until the command has ended.

    chunks ──→ LogBuffer ──→ batches ──→ LogView ──→ pages
                   └──→ bundles: first the view, at the end the saved log without the view

The first batch after a pause goes out at once, then at most ten a second. Batches are less frequent
when the command prints faster than that, the kernel is slow or it follows many logs. A batch has only
the newest lines; a page asks for earlier ones when its reader wants them. A front end that does not
report that it has the view (nbclient, a console) gets the saved log instead, until it reports the view.

A view outlives its command: its reader may search, copy and download what the saved log does not have.
When more commands have ended, it is closed; see ended_logs.

A page that was reloaded has lost the display's id, so only the view itself can replace the output there. The
view gets the final saved log. While the command runs, the view asks for earlier ones, because the kernel may
end without notice.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from .ended_logs import ENDED_LOGS
from .leftover_log import MARK
from .log_buffer import Excerpt, LogBuffer
from .pace import PACE
from .page_requests import PageRequests
from .saved_log import Heading, SavedLog
from .styled_text import encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from ..wire.logs import LogChunk
    from .log_view import LogView

Bundle = dict[str, Any]

# Between two batches, in seconds.
_BATCH_INTERVAL = 0.1
_FLOOD_INTERVAL = 0.4
_LONGEST_INTERVAL = 1.0
_INTERVAL_PER_COST = 20  # a batch may take a twentieth of the event loop's time

# After so many bytes the follower pauses, for twice the time that it has worked.
_TURN_BYTES = 256 << 10
_REST_PER_WORK = 2.0

_BATCH_LINES = 500
_FLOOD_LINES = 100
_BATCH_CHARACTERS = 64 << 10
_ANSWER_LINES = 5_000
_ANSWER_CHARACTERS = 1 << 20
_RUNNING_LINES = 200  # of the saved log of a command that still runs
_RUNNING_CHARACTERS = 32 << 10
_FINAL_LINES = 1_000
_FINAL_CHARACTERS = 128 << 10
_SAVE_INTERVAL = 2.0
_WITHOUT_VIEW = "Updated every 2 s. For Stop and search, install ipywidgets and anywidget where Jupyter runs."
_LINE_BYTES = 8  # the JSON around a line's text, and around each of its styles


class LogDisplay:
    """The display of a command's log. Call `show` in the cell, then await `run` in a task.

    chunks: the log. It ends when the command has ended, and raises if the log can no longer be followed.
    publish: sends a bundle and its metadata as `display_data`, or if its third argument is true as
        `update_display_data`, always with the same display id. The parent is the cell that is running
        at that moment, or else the cell that showed the log.
    stop: ends the command. The view shows the text that it returns.
    send_input: writes a text to the command's stdin. If it or `stop` raises, the view shows the error.
    download: the bytes of the whole log so far. It ends without waiting for more.
    exit_code: awaited when the log has ended; `None` if the code is unknown.
    was_stopped: whether something other than `stop` has stopped the command.
    whole: the magic that prints the whole log; "" for none.
    started: when the command started, in seconds since the epoch; `None`: now.

    Call all methods on the event loop that runs `run`. Pages may send their messages from any thread.
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
        was_stopped: Callable[[], bool] = lambda: False,
        whole: str = "",
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
        self._exit_code = exit_code
        self._was_stopped = was_stopped
        self._whole = whole
        self._view_id = secrets.token_hex(8)
        self._started = time.time() if started is None else started
        self._ended: float | None = None
        self._view: LogView | None = None
        self._has_page = False
        self._replaced = False  # whether a saved log has taken the place of a view that no page shows
        self._news = asyncio.Event()
        self._sent = 0
        self._final: Bundle | None = None
        self._requests = PageRequests(
            send=self._send,
            greet=self._greet_page,
            send_lines=self._send_lines,
            send_saved_log=self._send_saved_log,
            stop=stop,
            send_input=send_input,
            download=download,
        )

    def show(self) -> None:
        """Publish the view, as the output of the cell that is running."""
        # This import takes 180 ms, and most kernels never show a log.
        from .log_view import LogView

        self._loop = asyncio.get_running_loop()
        self._view = LogView(
            command=self.command, session=self.session, elapsed=self.elapsed, view_id=self._view_id
        )
        self._view.on_message(self._receive)
        self._publish_view(update=False)

    async def run(self) -> None:
        """Follow the log to its end, and replace the view with the saved log.

        When it is canceled, the saved log says that it is no longer followed.
        """
        sender = asyncio.create_task(self._send_batches())
        saver = asyncio.create_task(self._publish_saved_logs())
        try:
            taken, worked = 0, time.thread_time()
            async for chunk in self._chunks:
                self.buffer.feed(chunk, time.time())
                self._news.set()
                taken += len(chunk.data)
                if taken >= _TURN_BYTES:
                    # A flood can wait in its pipe. Cells need the processor now. A stopped command floods no
                    # more, and its reader waits for the end.
                    rest = 0.0 if self._is_stopped() else _REST_PER_WORK * (time.thread_time() - worked)
                    await asyncio.sleep(rest)
                    taken, worked = 0, time.thread_time()
            self.exit_status = await self._exit_code()
            self.state = "stopped" if self._is_stopped() else "exited"
        except asyncio.CancelledError:
            self._lose("the kernel stopped following it")
            raise
        except Exception as error:  # noqa: BLE001  (the log's reader sees the error)
            self._lose(str(error))
        finally:
            sender.cancel()
            saver.cancel()
            self._end()
            if aclose := getattr(self._chunks, "aclose", None):
                await aclose()

    def shrink(self) -> None:
        """Drop the lines that the saved log of an ended command does not have."""
        self.buffer.shrink(_FINAL_LINES, _FINAL_CHARACTERS)

    def close(self) -> None:
        """Close the view, also in pages that still show it."""
        self._requests.close()
        if self._view is not None:
            self._view.close()
            self._view = None

    @property
    def elapsed(self) -> float:
        """Seconds from the command's start to its end, or to now."""
        return max((self._ended or time.time()) - self._started, 0.0)

    def _is_stopped(self) -> bool:
        return self._requests.stopping or self._was_stopped()

    def _lose(self, reason: str) -> None:
        self.state, self._reason = "lost", reason
        self._requests.notify(f"The log is no longer followed: {reason}")

    def _end(self) -> None:
        self._ended = time.time()
        self.buffer.finish()
        self._send_news()
        self._final = self._saved_log()
        if self._view is not None:
            with self._view.hold_sync():
                self._view.elapsed = self.elapsed
                self._view.exit_code = self.exit_status
                self._view.state = self.state
        self._publish(self._final, {}, True)
        self._send_saved_log()
        if not self._has_page:
            self.shrink()
        ENDED_LOGS.add(self)

    async def _send_batches(self) -> None:
        interval, limit = _BATCH_INTERVAL, _BATCH_LINES
        while True:
            await self._news.wait()
            self._news.clear()
            started = time.monotonic()
            whole, size = self._send_news(limit)
            cost = time.monotonic() - started
            # Output faster than a batch is unreadable anyway: send fewer lines, less often.
            limit = _BATCH_LINES if whole else _FLOOD_LINES
            interval = _BATCH_INTERVAL if whole else min(2 * interval, _FLOOD_INTERVAL)
            pause = min(max(interval, _INTERVAL_PER_COST * cost), _LONGEST_INTERVAL)
            await asyncio.sleep(max(pause, PACE.spend(size)) if size else pause)

    def _send_news(self, limit: int = _BATCH_LINES) -> tuple[bool, int]:
        """Send the newest of the unsent lines; return whether these were all of them, and their bytes."""
        excerpt = self.buffer.read(self._sent, max_lines=limit, max_characters=_BATCH_CHARACTERS)
        whole = excerpt.first <= self._sent
        self._sent = self.buffer.next_line
        if self._view is None or not self._has_page:
            return whole, 0
        self._view.send(self._lines_message(excerpt))
        lines = [*excerpt.lines, excerpt.unfinished] if excerpt.unfinished else excerpt.lines
        return whole, sum(len(line.text) + _LINE_BYTES * (1 + len(line.runs)) for line in lines)

    def _lines_message(self, excerpt: Excerpt, **more: Any) -> dict[str, Any]:
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

    async def _publish_saved_logs(self) -> None:
        shown = -1
        while True:
            await asyncio.sleep(_SAVE_INTERVAL)
            if self._has_page:
                return
            if self.buffer.byte_count != shown:
                shown = self.buffer.byte_count
                self._replaced = True
                self._publish(self._saved_log(), {}, True)

    def _greet_page(self) -> None:
        """Note that a page has the view. If the saved log had replaced the view, publish the view again."""
        self._has_page = True
        if self._replaced and self._ended is None and self._view is not None:
            self._replaced = False
            self._publish_view(update=True)

    def _publish_view(self, *, update: bool) -> None:
        assert self._view is not None
        mark = {MARK: {"command": self.command, "session": self.session}}
        self._publish(self._view.bundle() | self._saved_log(), mark, update)

    def _saved_log(self) -> Bundle:
        ended = self._ended is not None
        excerpt = self.buffer.read(
            max_lines=_FINAL_LINES if ended else _RUNNING_LINES,
            max_characters=_FINAL_CHARACTERS if ended else _RUNNING_CHARACTERS,
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
            whole="" if self.state == "lost" else self._whole,
            hint=_WITHOUT_VIEW if self._replaced and not ended else "",
        )
        return SavedLog(heading, excerpt, self._view_id).bundle()

    def _receive(self, content: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._requests.handle, content)

    def _send_lines(self, view: str, since: int, before: int | None) -> None:
        excerpt = self.buffer.read(since, before, max_lines=_ANSWER_LINES, max_characters=_ANSWER_CHARACTERS)
        self._send(self._lines_message(excerpt, to=view, before=before))

    def _send_saved_log(self, view: str | None = None) -> None:
        """Send the saved log to a view, or to all of them."""
        if self._view is not None:
            answer = {"bundle": self._final or self._saved_log(), "model_id": self._view.model_id}
            to = {} if view is None else {"to": view}
            self._send({"type": "bundle", "state": self.state, **answer, **to})

    def _send(self, message: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if self._view is not None:
            self._view.send(message, buffers=list(buffers))
