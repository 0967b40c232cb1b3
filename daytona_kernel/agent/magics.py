"""The sandbox's half of a kernel magic: an IPython magic that asks the kernel and shows its answer.

The request is published among the outputs, so that what the cell printed before is shown before
it; the answer comes back over a unix socket of the agent, one connection a call, so that calls
from several threads cannot take each other's answers. Events are JSON lines:

    {"stream": "stdout", "text": …}         printed here, in the cell that asked
    {"display": {data}, "metadata": {}}     displayed here
    {"set": {name: value}}                  put into the user's namespace
    {"put": {name: encoded}}                the same, as wire.values encodes it
    {"get": name}                           a variable is wanted; its value is published as the request was
    {"result": value}                       the end; lists become IPython's SList
    {"error": {"ename", "evalue"}}          the end; raised here, with its own `traceback` or none

A call that is interrupted closes its half of the connection, and is over when the kernel has ended
what it began, or when it is interrupted again.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import uuid
from typing import IO, TYPE_CHECKING, Any

from ..wire.values import decode_value, encode_value
from .expansion import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# A completion that comes later is of no use to the person who types.
_COMPLETION_SECONDS = 0.3


class MagicError(Exception):
    """A magic failed. Shown as one line: the frames between cell and kernel help nobody.

    traceback: the lines to be shown in its place, of code that ran elsewhere; None for none.
    """

    traceback: list[str] | None = None

    def _render_traceback_(self) -> list[str]:
        return self.traceback or [f"\x1b[0;31m{type(self).__name__}\x1b[0m: {self}"]


class KernelMagics:
    """The kernel's magics in one shell. socket_path: where the agent listens."""

    def __init__(self, shell: Any, socket_path: str) -> None:
        self._shell = shell
        self._socket_path = socket_path
        self._environ = dict(os.environ)

    def register(self, declarations: Mapping[str, str]) -> None:
        """Make each name a line and cell magic of the shell. declarations: their help by name."""
        from IPython.core.magic import needs_local_scope, no_var_expand

        if not declarations:
            return
        for name, help in declarations.items():
            function = needs_local_scope(no_var_expand(self._function(name, help)))
            self._shell.register_magic_function(function, "line_cell", name)
        self._shell.input_transformer_manager.token_transformers.append(_assignment_of(list(declarations)))
        self._called = re.compile(rf".*(?:^|\s)(%%?)({'|'.join(declarations)})(?=\s)(.*)", re.DOTALL)
        self._register_completion()

    def _function(self, name: str, help: str) -> Any:
        def call(line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
            return self._run(name, line, cell, local_ns or {}, assigned=False)

        def assigned(line: str) -> Any:
            return self._run(name, line, None, sys._getframe(1).f_locals, assigned=True)

        function: Any = call
        function.__name__ = name
        function.__doc__ = help
        function.assigned = assigned
        return function

    def _run(self, name: str, line: str, cell: str | None, local_ns: dict[str, Any], assigned: bool) -> Any:
        changed, unset = self._environ_changes()
        request = {
            "name": name,
            "line": expand(line, {**self._shell.user_ns, **local_ns}),
            "cell": cell,
            "assigned": assigned,
            "cwd": _current_directory(),
            "environ": changed,
            "unset": unset,
            "python": sys.executable,
        }
        sys.stdout.flush()
        sys.stderr.flush()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._socket_path)
            answers = connection.makefile("r", encoding="utf-8")
            try:
                tell = self._ask(request, connection, answers)
                for event in _events(answers):
                    if "result" in event:
                        return _value(event["result"])
                    if "get" in event:
                        tell({"answer": self._variable(event["get"])})
                    else:
                        self._apply(event)
            except KeyboardInterrupt:
                # Wherever it came: the kernel may have begun, and what it began ends before the cell does.
                connection.shutdown(socket.SHUT_WR)
                for event in _events(answers):
                    if "result" in event or "error" in event:
                        break
                    self._apply(event)
                raise
        raise MagicError("the kernel went away before the answer came; the interpreter's state is kept")

    def _ask(
        self, request: dict[str, Any], connection: socket.socket, answers: IO[str]
    ) -> Callable[[dict[str, Any]], None]:
        """Send a request, whose events then come as answers; return a way to tell more."""
        kernel = self._shell.kernel
        call_id = uuid.uuid4().hex

        def tell(content: dict[str, Any]) -> None:
            kernel.session.send(
                kernel.iopub_socket, "daytona_magic", {"id": call_id, **content}, parent=kernel.get_parent()
            )

        connection.sendall(call_id.encode() + b"\n")
        answers.readline()  # the agent knows the call: its answer cannot come too early
        tell(request)
        return tell

    def _variable(self, name: str) -> dict[str, Any]:
        """A variable of the user's, encoded, or why it is not."""
        if name not in self._shell.user_ns:
            return {"refused": "there is no such variable in the sandbox"}
        try:
            return {"value": encode_value(self._shell.user_ns[name])}
        except ValueError as error:
            return {"refused": str(error)}

    def _apply(self, event: dict[str, Any]) -> None:
        if "stream" in event:
            stream = getattr(sys, event["stream"])
            stream.write(event["text"])
            stream.flush()
        elif "display" in event:
            from IPython.display import publish_display_data

            publish_display_data(event["display"], event.get("metadata"))
        elif "set" in event:
            self._shell.user_ns.update(event["set"])
        elif "put" in event:
            for name, encoded in event["put"].items():
                try:
                    self._shell.user_ns[name] = decode_value(encoded)
                except ValueError as refused:
                    raise MagicError(f"{name!r} cannot be copied: {refused}.") from None
        elif "error" in event:
            error = event["error"]
            attributes = {"__module__": __name__, "traceback": error.get("traceback")}
            raise type(error["ename"], (MagicError,), attributes)(error["evalue"])

    def _environ_changes(self) -> tuple[dict[str, str], list[str]]:
        """What cells have changed in the environment, as far as a shell can be told of it."""
        now = dict(os.environ)
        changed = {
            name: value
            for name, value in now.items()
            if self._environ.get(name) != value and _is_tellable(name + value) and name.isidentifier()
        }
        return changed, [name for name in self._environ if name not in now and name.isidentifier()]

    def _register_completion(self) -> None:
        """Answer in the place of all other completers, of which jedi is slow and knows no magics."""
        from IPython.core import completer

        if not hasattr(completer, "context_matcher"):
            return  # an IPython before 8.6

        @completer.context_matcher(identifier="daytona_kernel", priority=100)  # type: ignore[untyped-decorator]
        def match(context: Any) -> Any:
            token = str(context.token)
            words = [
                each for each in self._complete(context.text_until_cursor, token) if each.startswith(token)
            ]
            completions = [completer.SimpleCompletion(text=word, type="magic") for word in words]
            return {"completions": completions, "suppress": True, "ordered": True}

        self._shell.Completer.custom_matchers.append(match)

    def _complete(self, line: str, token: str) -> list[str]:
        """What may follow in a line with one of the magics; token: the word that is being typed."""
        called = self._called.match(line)
        if called is None:
            return []
        marker, name, text = called.groups()
        request = {"name": name, "complete": text, "of_cell": marker == "%%"}
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self._socket_path)
                connection.settimeout(_COMPLETION_SECONDS)
                answers = connection.makefile("r", encoding="utf-8")
                self._ask(request, connection, answers)
                answer: dict[str, Any] = next(_events(answers)).get("result") or {}
        except (OSError, ValueError, StopIteration):
            answer = {"paths": True}
        words: list[str] = answer.get("words", [])
        return words + (_paths(token) if answer.get("paths") else [])


def _events(answers: IO[str]) -> Iterator[dict[str, Any]]:
    for line in answers:
        if line.strip():  # an empty one says that the call is known
            yield json.loads(line)


def _assignment_of(names: list[str]) -> Any:
    """An input transformer that lets `x = %sh …` know that its result is wanted."""
    from IPython.core.inputtransformer2 import MagicAssign

    class KernelMagicAssign(MagicAssign):
        priority = MagicAssign.priority - 1

        @classmethod
        def find(cls, tokens_by_line: Any) -> Any:
            # One line after the other, since the first assignment may be of another magic.
            for line in tokens_by_line:
                found: Any = super().find([line])  # type: ignore[no-untyped-call]
                if found is not None and _magic_name(line, found) in names:
                    return found
            return None

        def transform(self, lines: list[str]) -> list[str]:
            transformed: list[str] = super().transform(lines)
            line = transformed[self.start_line]
            head, tail = line[: self.start_col], line[self.start_col :]
            name, arguments = tail.removeprefix("get_ipython().run_line_magic(").split(", ", 1)
            transformed[self.start_line] = f"{head}get_ipython().find_line_magic({name}).assigned({arguments}"
            return transformed

    return KernelMagicAssign


def _magic_name(line: Any, found: Any) -> str:
    starts = [token.start for token in line]
    position = (found.start_line + 1, found.start_col)
    return str(line[starts.index(position) + 1].string)


def _paths(begun: str) -> list[str]:
    """The files and folders whose path begins so."""
    directory, slash, _ = begun.rpartition("/")
    folder = os.path.expanduser(directory + slash) or "."
    try:
        with os.scandir(folder) as entries:
            return sorted(f"{directory}{slash}{each.name}{'/' * each.is_dir()}" for each in entries)
    except OSError:
        return []


def _current_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it was deleted


def _is_tellable(text: str) -> bool:
    """Whether a text is one for JSON: a variable may hold any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(value: Any) -> Any:
    if isinstance(value, list):
        from IPython.utils.text import SList

        return SList(value)
    return value
