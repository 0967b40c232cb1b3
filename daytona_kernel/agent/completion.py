"""Completion that answers in time, whatever Jedi has to read first.

Jedi finds IPython's completions, their types and signatures. In a fresh sandbox it parses the stubs
of the standard library before its first answer, which takes seconds, and a large package takes as
long at its first completion; JupyterLab waits for one second. So Jedi searches in a thread. When it is
late, IPython's own matchers answer: they look at the live objects and know no types. The search continues in
its thread, and the files that Jedi reads there make its next answer fast.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from IPython.core.completerlib import get_root_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# A completion waits so long for Jedi. The rest of it takes less than 50 ms.
_JEDI_SECONDS = 0.2

_UNKNOWN = "<unknown>"


class TimelyCompletion:
    """A completer whose searches with Jedi run in a thread. completer: IPython's `IPCompleter`."""

    def __init__(self, completer: Any) -> None:
        self._completer = completer
        # Private in IPython, which has no other way to give Jedi a deadline. A version without this method
        # completes as it does by itself.
        self._find: Any = getattr(completer, "_jedi_matches", None)
        if self._find is not None:
            completer._jedi_matches = self._jedi_matches  # noqa: SLF001
        # The completer keeps the state of one search, and the kernel's subshell may ask at the same time.
        self._lock = threading.Lock()
        self._search: _Search | None = None
        self._late = False

    def complete(self, do_complete: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of `do_complete` with the completer, and with Jedi if Jedi is in time."""
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
        # Jedi does not allow two threads: while an old search runs, a new one counts as late.
        if self._search is None or not self._search.is_alive():
            first = self._search is None
            find = functools.partial(self._find, *args, **keywords)
            self._search = _Search(find, reads_modules=first)
            self._search.start()
            self._search.join(_JEDI_SECONDS)
            if self._search.found is not None:
                return iter(self._search.found)
        self._late = True
        return iter(())


class _Search(threading.Thread):
    """One search.

    found: the matches, once their names are known; their types follow one by one.
    reads_modules: whether to list all modules afterwards. IPython does so when `import` is first completed,
        and remembers the list.
    """

    def __init__(self, find: Callable[[], Iterable[Any]], *, reads_modules: bool) -> None:
        super().__init__(name="daytona-jedi", daemon=True)
        self._find = find
        self._reads_modules = reads_modules
        # Names by which the debugger recognizes threads that are not the user's.
        self.pydev_do_not_trace = self.is_pydev_daemon_thread = True
        self.found: list[_Match] | None = None

    def run(self) -> None:
        try:
            self.found = [_Match(each) for each in self._find()]
            for match in self.found:
                match.examine()
        except Exception:  # noqa: BLE001  # Jedi fails on some code in any way; IPython then shows nothing, too
            self.found = self.found or []
        if self._reads_modules:
            get_root_modules()


class _Match:
    """A match as the completer uses it, with the facts that are known by now."""

    def __init__(self, match: Any) -> None:
        self._match = match
        self._signatures: list[Any] = []
        self.name_with_symbols = match.name_with_symbols
        self.complete = match.complete
        self.type = _UNKNOWN

    def examine(self) -> None:
        """Find type and signatures. This may take long."""
        kind = self._match.type
        if kind == "function":
            self._signatures = self._match.get_signatures()
        self.type = kind

    def get_signatures(self) -> list[Any]:
        """Return the signatures of a function, as Jedi does."""
        return self._signatures


def _without_dots(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply with `path` for `os.pa`, as Jedi has it. IPython's own matchers have `.path`."""
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
