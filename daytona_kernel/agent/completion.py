"""Completion that answers in time, whatever Jedi has to read first.

Jedi finds IPython's completions, their types and signatures. In a fresh sandbox it parses the stubs
of the standard library before its first answer, which takes seconds, and a large package takes as
long when it is first looked at; JupyterLab waits for one second. So Jedi searches in a thread. When
it is late, IPython's own matchers answer, which look at the live objects and know no types; what
Jedi has read by the end of its search makes its next answer quick.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from IPython.core.completerlib import get_root_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# So long a completion waits for Jedi; all the rest of it takes less than 50 ms.
_PATIENCE_SECONDS = 0.2

_UNKNOWN = "<unknown>"


class TimelyCompletion:
    """Takes Jedi's part of a completer's work into a thread. completer: IPython's `IPCompleter`."""

    def __init__(self, completer: Any) -> None:
        self._completer = completer
        # Not part of IPython's interface: where a version has it no more, completion is as that has it.
        self._find: Any = getattr(completer, "_jedi_matches", None)
        if self._find is not None:
            completer._jedi_matches = self._jedi_matches
        # The completer keeps the state of its search, and the kernel's subshell may ask as well.
        self._lock = threading.Lock()
        self._search: _Search | None = None
        self._late = False

    def complete(self, do_complete: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what `do_complete` finds with the completer, with Jedi's help if that comes in time."""
        with self._lock:
            self._late = False
            reply = do_complete()
            if not self._late:
                return reply
            self._completer.use_jedi = False
            try:
                return _without_dots(do_complete())
            finally:
                self._completer.use_jedi = True

    def _jedi_matches(self, *args: Any, **keywords: Any) -> Iterator[_Match]:
        # Jedi is not made for two threads: while it is at an old search, a new one is late already.
        if self._search is None or not self._search.is_alive():
            first = self._search is None
            find = functools.partial(self._find, *args, **keywords)
            self._search = _Search(find, reads_modules=first)
            self._search.start()
            self._search.join(_PATIENCE_SECONDS)
            if self._search.found is not None:
                return iter(self._search.found)
        self._late = True
        return iter(())


class _Search(threading.Thread):
    """One search. found: the matches as soon as their names are known; their types come one by one.

    reads_modules: whether to look for all modules afterwards, which IPython does when `import` is first
    completed, and then remembers.
    """

    def __init__(self, find: Callable[[], Iterable[Any]], *, reads_modules: bool) -> None:
        super().__init__(name="daytona-jedi", daemon=True)
        self._find = find
        self._reads_modules = reads_modules
        # Names that a debugger looks at: this thread is none of the user's.
        self.pydev_do_not_trace = self.is_pydev_daemon_thread = True
        self.found: list[_Match] | None = None

    def run(self) -> None:
        try:
            self.found = [_Match(each) for each in self._find()]
            for match in self.found:
                match.examine()
        except Exception:
            # Jedi fails on some code; IPython shows nothing then, and neither do we.
            self.found = self.found or []
        if self._reads_modules:
            get_root_modules()


class _Match:
    """A match as the completer looks at it, with what is known of it by now."""

    def __init__(self, match: Any) -> None:
        self._match = match
        self._signatures: list[Any] = []
        self.name_with_symbols = match.name_with_symbols
        self.complete = match.complete
        self.type = _UNKNOWN

    def examine(self) -> None:
        """Find out type and signatures, which may take long."""
        kind = self._match.type
        if kind == "function":
            self._signatures = self._match.get_signatures()
        self.type = kind

    def get_signatures(self) -> list[Any]:
        """The signatures of a function, as Jedi has them."""
        return self._signatures


def _without_dots(reply: dict[str, Any]) -> dict[str, Any]:
    """Say `path` for `os.pa`, as Jedi does, where IPython's own matchers say `.path`."""
    matches = reply["matches"]
    if not matches or not all(match.startswith(".") for match in matches):
        return reply
    typed = [
        {**each, "start": each["start"] + 1, "text": each["text"].removeprefix(".")}
        for each in reply["metadata"].get("_jupyter_types_experimental", [])
    ]
    return {
        **reply,
        "matches": [match.removeprefix(".") for match in matches],
        "cursor_start": reply["cursor_start"] + 1,
        "metadata": {**reply["metadata"], "_jupyter_types_experimental": typed},
    }
