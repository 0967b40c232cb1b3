"""Completion that answers in time, whatever Jedi has to read first.

Jedi finds IPython's completions, their types and signatures. In a fresh sandbox it parses the stubs
of the standard library before its first answer, which takes seconds, and a large package takes as
long at its first completion; JupyterLab waits for one second. So Jedi searches in a thread. When it is
late, IPython's own matchers answer: they look at the live objects, and at those that the code names, and know
no types. If they find nothing either, Jedi gets the rest of the second: an empty answer helps nobody.

Jedi does not allow two threads. A new question ends the search before it, which then only looks for types.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.completerlib import get_root_modules

from .named_objects import imported_names, named_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Seconds that a completion waits for Jedi if the live objects know an answer, and if they do not. The rest of
# it takes less than 50 ms. The kernel gives up after 0.8 s.
_JEDI_SECONDS = 0.2
_LONGEST_SECONDS = 0.65

_UNKNOWN = "<unknown>"

# Completes code at a cursor, and returns the content of a `complete_reply`.
DoComplete = Callable[[str, int], dict[str, Any]]


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
        self._until = 0.0
        self._has_searched = False

    def complete(self, code: str, cursor: int, do_complete: DoComplete) -> dict[str, Any]:
        """Return what `do_complete` finds with the completer, with Jedi's help if that comes in time."""
        with self._lock:
            asked = time.monotonic()
            reply = self._ask_jedi(code, cursor, do_complete, asked + _JEDI_SECONDS)
            if not self._late:
                return reply
            live = self._ask_objects(code, cursor, do_complete)
            if live["matches"]:
                return live
            reply = self._ask_jedi(code, cursor, do_complete, asked + _LONGEST_SECONDS)
            return live if self._late else reply

    def _ask_jedi(self, code: str, cursor: int, do_complete: DoComplete, until: float) -> dict[str, Any]:
        self._late = False
        self._until = until
        return do_complete(code, cursor)

    def _ask_objects(self, code: str, cursor: int, do_complete: DoComplete) -> dict[str, Any]:
        completer = self._completer
        before = code[:cursor]
        if modules := imported_names(before.rpartition("\n")[2]):
            return _modules(modules, before)
        namespace = completer.namespace
        completer.use_jedi = False
        completer.namespace = {**named_objects(before), **namespace}
        try:
            reply = do_complete(code, cursor)
            line = before.rpartition("\n")[2]
            if not reply["matches"] and line != before:
                # IPython evaluates the lines before, and so finds nothing in the body of a function.
                reply = _moved(do_complete(line, len(line)), len(before) - len(line))
            return _without_dots(reply)
        finally:
            completer.use_jedi = True
            completer.namespace = namespace

    def _jedi_matches(self, *args: Any, **keywords: Any) -> Iterator[_Match]:
        question = (args, keywords)
        search = self._search
        if search is not None and search.is_alive() and search.question != question:
            search.stop()
            search.join(max(0.0, self._until - time.monotonic()))
        if search is None or not search.is_alive():
            find = functools.partial(self._find, *args, **keywords)
            self._search = search = _Search(question, find, reads_modules=not self._has_searched)
            self._has_searched = True
            search.start()
        if search.question == question:
            search.join(max(0.0, self._until - time.monotonic()))
            if search.found is not None:
                return iter(search.found)
        self._late = True
        return iter(())


class _Search(threading.Thread):
    """One search.

    question: the arguments of `find`.
    found: the matches, once their names are known; their types follow one by one.
    reads_modules: whether to list all modules afterwards. IPython does so when `import` is first completed,
        and remembers the list.
    """

    def __init__(self, question: object, find: Callable[[], Iterable[Any]], *, reads_modules: bool) -> None:
        super().__init__(name="daytona-jedi", daemon=True)
        self.question = question
        self._find = find
        self._reads_modules = reads_modules
        self._stopped = False
        # Names by which the debugger recognizes threads that are not the user's.
        self.pydev_do_not_trace = self.is_pydev_daemon_thread = True
        self.found: list[_Match] | None = None

    def stop(self) -> None:
        """Look for no more types."""
        self._stopped = True

    def run(self) -> None:
        try:
            self.found = [_Match(each) for each in self._find()]
            for match in self.found:
                if self._stopped:
                    break
                match.examine()
        except Exception:  # noqa: BLE001  # Jedi fails on some code in any way; IPython then shows nothing, too
            self.found = self.found or []
        if self._reads_modules:
            listing = threading.Thread(target=get_root_modules, name="daytona-modules", daemon=True)
            listing.pydev_do_not_trace = listing.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
            listing.start()


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


def _modules(names: list[str], before: str) -> dict[str, Any]:
    """Return the reply with these modules for an import that ends with the start of their names."""
    end = len(before)
    start = end - len(re.findall(r"\w+", before)[-1])
    types = [{"start": start, "end": end, "text": name, "type": "module", "signature": ""} for name in names]
    return {
        "matches": names,
        "cursor_start": start,
        "cursor_end": end,
        "metadata": {"_jupyter_types_experimental": types},
        "status": "ok",
    }


def _moved(reply: dict[str, Any], offset: int) -> dict[str, Any]:
    """Return a reply for the line that begins at this offset as a reply for the whole code."""
    return {
        **reply,
        "cursor_start": reply["cursor_start"] + offset,
        "cursor_end": reply["cursor_end"] + offset,
        "metadata": {
            key: [{**each, "start": each["start"] + offset, "end": each["end"] + offset} for each in value]
            for key, value in reply["metadata"].items()
        },
    }


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
