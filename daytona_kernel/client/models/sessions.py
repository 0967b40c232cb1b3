"""Sessions, their commands and the logs of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...wire.logs import LogDemultiplexer, Stream

if TYPE_CHECKING:
    from typing import Self


@dataclass
class SessionExecuteRequest:
    """A command to execute in a session.

    run_async: whether to return while the command runs; None means False. `var_async` is its old name.
    suppress_input_echo: whether to keep input that is sent to the command out of its log; None leaves
        it to Daytona.
    """

    command: str
    var_async: bool | None = None
    run_async: bool | None = None
    suppress_input_echo: bool | None = None

    @property
    def is_async(self) -> bool:
        """Whether `run_async` or `var_async` is true."""
        return bool(self.run_async or self.var_async)


@dataclass(frozen=True)
class SessionExecuteResponse:
    """The outcome of a session's command. For an asynchronous command only `cmd_id` is not None.

    output: stdout and stderr in one text. stdout, stderr: each stream.
    exit_code: the command's status.
    """

    cmd_id: str
    output: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None

    @property
    def command_id(self) -> str:
        """The same as `cmd_id`."""
        return self.cmd_id

    @property
    def result(self) -> str | None:
        """The same as `output`."""
        return self.output

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SessionExecuteResponse:
        """Return a response from the JSON of Daytona's API."""
        exit_code, output = data.get("exitCode"), data.get("output")
        if exit_code is None and output is None:
            return cls(data["cmdId"])
        logs = SessionCommandLogs.from_text(output or "", data.get("stdout"), data.get("stderr"))
        return cls(data["cmdId"], logs.output, logs.stdout, logs.stderr, exit_code)


@dataclass(frozen=True)
class Command:
    """A command of a session.

    id: the command id. exit_code: the status; None while the command runs.
    """

    id: str
    command: str
    exit_code: int | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Command:
        """Return a command from the JSON of Daytona's API."""
        return cls(data["id"], data.get("command") or "", data.get("exitCode"))


@dataclass(frozen=True)
class Session:
    """A session and its commands, in the order in which Daytona lists them: it may be random."""

    session_id: str
    commands: list[Command] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Session:
        """Return a session from the JSON of Daytona's API."""
        return cls(data["sessionId"], [Command.from_json(command) for command in data.get("commands") or []])


class SessionCommandLogs(str):
    """A command's log: one text of stdout and stderr, with each stream as an attribute."""

    __slots__ = ("stderr", "stdout")

    stdout: str
    stderr: str

    def __new__(cls, output: str, stdout: str, stderr: str) -> Self:
        """Return the text `output` with the streams as attributes."""
        logs = super().__new__(cls, output)
        logs.stdout = stdout
        logs.stderr = stderr
        return logs

    @property
    def output(self) -> str:
        """The whole text; the name is that of Daytona's SDK."""
        return str(self)

    @classmethod
    def from_log(cls, log: bytes) -> SessionCommandLogs:
        """Return the logs in the raw bytes of a log, with or without markers."""
        demultiplexer = LogDemultiplexer()
        chunks = demultiplexer.feed(log) + demultiplexer.finish()
        return cls(
            b"".join(chunk.data for chunk in chunks).decode("utf-8", "replace"),
            *(
                b"".join(chunk.data for chunk in chunks if chunk.stream is stream).decode("utf-8", "replace")
                for stream in Stream
            ),
        )

    @classmethod
    def from_text(cls, output: str, stdout: str | None, stderr: str | None) -> SessionCommandLogs:
        """Return the logs in a JSON response.

        output: the log, with or without markers. stdout, stderr: each stream; None if unknown.
        """
        logs = cls.from_log(output.encode("utf-8", "surrogatepass"))
        if stdout is None and stderr is None:
            return logs
        return cls(logs.output, stdout or "", stderr or "")
