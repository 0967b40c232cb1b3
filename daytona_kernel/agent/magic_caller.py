"""Magic calls, as the cell in the interpreter makes them.

A request is published on iopub among the cell's outputs, so that the kernel sees it after everything
that the cell printed before. The answers come over a unix socket of the agent with one connection for
each call, so that calls of several threads cannot take each other's answers. See docs/protocol.md.
"""

from __future__ import annotations

import socket
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wire.exhaustive import assert_never
from ..wire.magic_messages import (
    MSG_TYPE,
    Assign,
    Completed,
    CompletionWanted,
    Display,
    MagicAnswer,
    MagicCalled,
    MagicEnd,
    MagicOutput,
    MagicRequest,
    Outcome,
    Print,
    Raised,
    Returned,
    SetEnvironment,
    Step,
    VariableRefused,
    VariableSent,
    VariableWanted,
    decode_answer_line,
    encode_magic_request,
)
from ..wire.paths import complete_path
from ..wire.values import decode_value, encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .given_environment import GivenEnvironment

# A later completion is of no use to a person who types.
_COMPLETION_SECONDS = 0.3


class MagicError(Exception):
    """The error of a magic. IPython shows it as one line, without the frames of the kernel.

    traceback: the lines to show instead, of code that ran elsewhere; None for none.
    """

    traceback: list[str] | None = None

    def _render_traceback_(self) -> list[str]:
        return self.traceback or [f"\x1b[0;31m{type(self).__name__}\x1b[0m: {self}"]


class MagicCaller:
    """Calls magics of the kernel for one shell.

    socket_path: where the agent listens.
    environment: the interpreter's environment.
    """

    def __init__(self, shell: Any, socket_path: str, environment: GivenEnvironment) -> None:
        self._shell = shell
        self._socket_path = socket_path
        self._environment = environment

    def run(self, name: str, line: str, cell: str | None, *, assigned: bool) -> Any:
        """Run a magic in the kernel, and return its result. Raises MagicError.

        line: the rest of its line, with the user's variables filled in. cell: the lines below; None for a
        line magic.
        """
        changed, unset = self._environment.changes()
        sys.stdout.flush()
        sys.stderr.flush()
        with self._open() as channel:
            try:
                channel.start()
                channel.ask(
                    MagicCalled(
                        channel.call_id,
                        name,
                        line,
                        cell,
                        assigned,
                        _current_directory(),
                        changed,
                        tuple(unset),
                        sys.executable,
                    )
                )
                return self._follow(channel)
            except KeyboardInterrupt:
                # The kernel may have started the magic: wait until it has ended what the magic started.
                channel.close_sending()
                self._drain(channel)
                raise

    def complete(self, name: str, text: str, token: str, *, of_cell: bool) -> list[str]:
        """Return the words that may follow in a line with a magic, for IPython to filter.

        text: the line after the magic's name. token: the word that the person types.
        """
        try:
            with self._open(_COMPLETION_SECONDS) as channel:
                channel.start()
                channel.ask(CompletionWanted(channel.call_id, name, text, of_cell))
                end = next(channel.answers())
        except (OSError, ValueError, StopIteration):
            return complete_path(token)
        if isinstance(end, MagicEnd) and isinstance(end.outcome, Completed):
            return [*end.outcome.words, *(complete_path(token) if end.outcome.paths else [])]
        return []

    @contextmanager
    def _open(self, timeout: float | None = None) -> Iterator[_Channel]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._socket_path)
            connection.settimeout(timeout)
            yield _Channel(connection, self._shell.kernel)

    def _follow(self, channel: _Channel) -> Any:
        for answer in channel.answers():
            match answer:
                case MagicOutput(steps=steps):
                    self._take(steps)
                case VariableWanted(name=name):
                    channel.ask(self._variable(channel.call_id, name))
                case MagicEnd(steps=steps, outcome=outcome):
                    self._take(steps)
                    return _result(outcome)
                case unexpected:
                    assert_never(unexpected)
        raise MagicError(
            "The kernel went away before the magic had ended. Your variables are kept; run the cell again."
        )

    def _drain(self, channel: _Channel) -> None:
        """Show the output that an interrupted magic still prints, until its end."""
        for answer in channel.answers():
            if not isinstance(answer, VariableWanted):
                self._take(answer.steps)
            if isinstance(answer, MagicEnd):
                return

    def _take(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case Print(stream=name, text=text):
                    stream = sys.stderr if name == "stderr" else sys.stdout
                    stream.write(text)
                    stream.flush()
                case Display(data=data, metadata=metadata):
                    from IPython.display import publish_display_data

                    publish_display_data(data, metadata)
                case Assign(name=name, value=value):
                    try:
                        self._shell.user_ns[name] = decode_value(value)
                    except ValueError as error:
                        raise MagicError(f"{name!r} cannot be copied: {error}.") from None
                case SetEnvironment(variables=variables):
                    self._environment.take(variables)
                case unexpected:
                    assert_never(unexpected)

    def _variable(self, call_id: str, name: str) -> VariableSent | VariableRefused:
        if name not in self._shell.user_ns:
            return VariableRefused(call_id, "there is no such variable in the sandbox")
        try:
            return VariableSent(call_id, encode_value(self._shell.user_ns[name]))
        except ValueError as error:
            return VariableRefused(call_id, str(error))


class _Channel:
    """One magic call's way to the kernel and back. kernel: the ipykernel that publishes the requests."""

    def __init__(self, connection: socket.socket, kernel: Any) -> None:
        self.call_id = uuid.uuid4().hex
        self._connection = connection
        self._kernel = kernel
        self._lines = connection.makefile("r", encoding="utf-8")

    def start(self) -> None:
        """Make the call known to the agent, so that no answer comes too early."""
        self._connection.sendall(self.call_id.encode() + b"\n")
        self._lines.readline()

    def ask(self, request: MagicRequest) -> None:
        """Send a request to the kernel."""
        kernel = self._kernel
        content = encode_magic_request(request)
        kernel.session.send(kernel.iopub_socket, MSG_TYPE, content, parent=kernel.get_parent())

    def answers(self) -> Iterator[MagicAnswer]:
        """Yield the kernel's answers until the agent closes the connection."""
        for line in self._lines:
            if line.strip():  # an interrupt may have left the empty first line unread
                yield decode_answer_line(line)

    def close_sending(self) -> None:
        """Tell the agent that the call was interrupted."""
        self._connection.shutdown(socket.SHUT_WR)


def _result(outcome: Outcome) -> Any:
    match outcome:
        case Returned(value=list() as lines):
            from IPython.utils.text import SList

            return SList(lines)
        case Returned(value=value):
            return value
        case Raised(ename=ename, evalue=evalue, traceback=traceback):
            attributes = {"__module__": __name__, "traceback": None if traceback is None else list(traceback)}
            raise type(ename, (MagicError,), attributes)(evalue)
        case Completed():
            return None
        case unexpected:
            return assert_never(unexpected)


def _current_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None  # it was deleted
