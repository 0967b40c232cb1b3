"""The ended logs whose views still answer pages: the latest ones, so that they need bounded memory."""

from __future__ import annotations

from collections import deque
from typing import Protocol

# The latest ended logs keep all their lines, for the readers of their views. Older ones keep the lines of the
# saved log. The oldest ones are closed: the notebook has their saved logs.
_WHOLE_LOGS = 8
_OPEN_LOGS = 16


class EndedLog(Protocol):
    """A log display whose command has ended."""

    def shrink(self) -> None:
        """Drop the lines that the saved log does not have."""

    def close(self) -> None:
        """Close the view in all pages."""


class EndedLogs:
    """The ended logs of a process, the latest last. They belong to one event loop."""

    def __init__(self) -> None:
        self._logs: deque[EndedLog] = deque()

    def add(self, log: EndedLog) -> None:
        """Keep a log that has just ended, and give up what older logs hold beyond the limits."""
        self._logs.append(log)
        if len(self._logs) > _WHOLE_LOGS:
            self._logs[-1 - _WHOLE_LOGS].shrink()
        if len(self._logs) > _OPEN_LOGS:
            self._logs.popleft().close()


ENDED_LOGS = EndedLogs()
