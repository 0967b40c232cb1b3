"""What goes into Daytona's calls and what comes out, as the Process page and Daytona's SDK name it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..wire.logs import LogDemultiplexer, Stream


@dataclass(frozen=True)
class Chart:
    """A figure that `code_run` drew.

    type: "line", "scatter", "bar", "pie", "box_and_whisker", "composite_chart" or "unknown".
    png: the picture as base64; None where there is none.
    elements: the points, bars or slices; for a composite chart, the charts in it.
    data: all that Daytona said, under its own names.
    """

    type: str
    title: str | None = None
    png: str | None = field(default=None, repr=False)
    elements: list[Any] = field(default_factory=list, repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def png_bytes(self) -> bytes | None:
        """The picture itself, or None."""
        return None if self.png is None else base64.b64decode(self.png)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Chart:
        kind = data.get("type") or "unknown"
        elements = data.get("elements") or []
        if kind == "composite_chart":
            elements = [cls.from_json(element) for element in elements]
        return cls(kind, data.get("title"), data.get("png"), elements, data)


@dataclass(frozen=True)
class ExecutionArtifacts:
    """What an execution left beside its exit code: `stdout` (the same as `result`) and `charts`."""

    stdout: str = ""
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class ExecuteResponse:
    """What `exec` and `code_run` return.

    exit_code: the status; -1 when a signal ended the shell, or it could not be started.
    result: what was printed; stdout and stderr in one.
    """

    exit_code: int
    result: str = ""
    artifacts: ExecutionArtifacts = field(default_factory=ExecutionArtifacts)

    @property
    def started(self) -> bool:
        """Whether the command ran at all. It does not where its `cwd` does not exist."""
        return not (self.exit_code == -1 and self.result.startswith("fork/exec "))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExecuteResponse:
        result = data.get("result") or ""
        charts = (data.get("artifacts") or {}).get("charts") or []
        exit_code = data.get("exitCode", data.get("code"))
        return cls(
            exit_code=0 if exit_code is None else int(exit_code),
            result=result,
            artifacts=ExecutionArtifacts(result, [Chart.from_json(chart) for chart in charts]),
        )


@dataclass
class CodeRunParams:
    """Arguments (`sys.argv[1:]`) and environment variables for `code_run`; None for none."""

    argv: list[str] | None = None
    env: dict[str, str] | None = field(default=None, repr=False)


@dataclass
class SessionExecuteRequest:
    """A command for a session.

    run_async: return at once, while the command runs; `var_async` is the same under its older name.
    suppress_input_echo: keep input that is sent to the command out of its log.
    """

    command: str
    var_async: bool | None = None
    run_async: bool | None = None
    suppress_input_echo: bool | None = None

    @property
    def is_async(self) -> bool:
        return bool(self.run_async or self.var_async)


@dataclass(frozen=True)
class SessionExecuteResponse:
    """What a session's command answered. After an asynchronous one only `cmd_id` is known.

    output: stdout and stderr in one; `result` is the same.
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
        exit_code, output = data.get("exitCode"), data.get("output")
        if exit_code is None and output is None:
            return cls(data["cmdId"])
        logs = SessionCommandLogs.from_text(output or "", data.get("stdout"), data.get("stderr"))
        return cls(data["cmdId"], logs.output, logs.stdout, logs.stderr, exit_code)


@dataclass(frozen=True)
class Command:
    """A command of a session. `exit_code` is None while it runs."""

    id: str
    command: str
    exit_code: int | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Command:
        return cls(data["id"], data.get("command") or "", data.get("exitCode"))


@dataclass(frozen=True)
class Session:
    """A session, and the commands that were executed in it."""

    session_id: str
    commands: list[Command] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Session:
        return cls(data["sessionId"], [Command.from_json(command) for command in data.get("commands") or []])


class SessionCommandLogs(str):
    """A command's log: a text with stdout and stderr in one, and each apart as an attribute."""

    __slots__ = ("stderr", "stdout")

    stdout: str
    stderr: str

    def __new__(cls, output: str, stdout: str, stderr: str) -> SessionCommandLogs:
        logs = super().__new__(cls, output)
        logs.stdout = stdout
        logs.stderr = stderr
        return logs

    @property
    def output(self) -> str:
        """The whole text, as SDKs of Daytona name it."""
        return str(self)

    @classmethod
    def from_log(cls, log: bytes) -> SessionCommandLogs:
        """Read a log with or without markers."""
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
        """Read what JSON says of a log: `output` with or without markers, and the streams if known."""
        logs = cls.from_log(output.encode("utf-8", "surrogatepass"))
        if stdout is None and stderr is None:
            return logs
        return cls(logs.output, stdout or "", stderr or "")


@dataclass(frozen=True)
class FileInfo:
    """A file or folder in the sandbox. `size` in bytes; `modified_at` as ISO 8601, or None."""

    name: str
    is_dir: bool
    size: int
    mode: str = ""
    permissions: str = ""
    owner: str = ""
    group: str = ""
    modified_at: str | None = None
    path: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FileInfo:
        return cls(
            name=data["name"],
            is_dir=bool(data.get("isDir")),
            size=int(data.get("size") or 0),
            mode=data.get("mode") or "",
            permissions=data.get("permissions") or "",
            owner=data.get("owner") or "",
            group=data.get("group") or "",
            modified_at=data.get("modifiedAt") or data.get("modTime"),
            path=data.get("path"),
        )


@dataclass(frozen=True)
class FileUpload:
    """A file to upload: bytes, or the path of a local file; and where it goes in the sandbox."""

    source: bytes | str
    destination: str


class PreviewUrl(NamedTuple):
    """Where a port of the sandbox can be reached, and the token for `x-daytona-preview-token`."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"PreviewUrl(url={self.url!r}, token=…)"


@dataclass(frozen=True)
class Resources:
    """What a sandbox gets: `cpu` cores, `memory` and `disk` in GiB, `gpu` units; None for the default."""

    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None
    gpu: int | None = None


@dataclass
class CreateSandboxFromSnapshotParams:
    """What a new sandbox is to be; None leaves it to Daytona.

    language: what `code_run` runs: "python" (None), "javascript" or "typescript".
    env_vars: environment variables of everything in it. labels: names and values to find it by.
    public: whether its ports can be reached without a token.
    auto_stop_interval: minutes without activity until it stops; 0 for never (None: 15).
    auto_archive_interval: minutes stopped until it is archived; 0 for the longest.
    auto_delete_interval: minutes stopped until it is deleted; 0 at once, negative never.
    ephemeral: delete it as soon as it stops, as `auto_delete_interval` 0 does.
    """

    name: str | None = None
    language: str | None = None
    snapshot: str | None = None
    target: str | None = None
    os_user: str | None = None
    env_vars: dict[str, str] | None = field(default=None, repr=False)
    labels: dict[str, str] | None = None
    public: bool | None = None
    auto_stop_interval: int | None = None
    auto_archive_interval: int | None = None
    auto_delete_interval: int | None = None
    ephemeral: bool | None = None
    network_block_all: bool | None = None
    network_allow_list: str | None = None
    resources: Resources | None = None


CreateSandboxParams = CreateSandboxFromSnapshotParams


@dataclass
class ListSandboxesQuery:
    """Which sandboxes to list; None for all. `limit` is the size of a page, not of the list."""

    limit: int | None = None
    id: str | None = None
    name: str | None = None
    labels: dict[str, str] | None = None
    states: list[str] | None = None


@dataclass(frozen=True)
class SandboxInstance:
    """A sandbox as Daytona last described it.

    state: "started", "stopped", "error", … intervals: minutes.
    toolbox_url: where its processes, sessions and files are reached.
    """

    id: str
    name: str
    state: str
    toolbox_url: str = ""
    target: str = ""
    user: str = ""
    snapshot: str | None = None
    env: dict[str, str] = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    public: bool = False
    cpu: float | None = None
    gpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    auto_stop_interval: int | None = None
    auto_archive_interval: int | None = None
    auto_delete_interval: int | None = None
    error_reason: str | None = None
    created_at: str | None = None
    last_activity_at: str | None = None
    organization_id: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SandboxInstance:
        proxy = data.get("toolboxProxyUrl") or ""
        return cls(
            id=data["id"],
            name=data.get("name") or data["id"],
            state=data.get("state") or "unknown",
            toolbox_url=f"{proxy.rstrip('/')}/{data['id']}" if proxy else "",
            target=data.get("target") or "",
            user=data.get("user") or "",
            snapshot=data.get("snapshot"),
            env=data.get("env") or {},
            labels=data.get("labels") or {},
            public=bool(data.get("public")),
            cpu=data.get("cpu"),
            gpu=data.get("gpu"),
            memory=data.get("memory"),
            disk=data.get("disk"),
            auto_stop_interval=data.get("autoStopInterval"),
            auto_archive_interval=data.get("autoArchiveInterval"),
            auto_delete_interval=data.get("autoDeleteInterval"),
            error_reason=data.get("errorReason"),
            created_at=data.get("createdAt"),
            last_activity_at=data.get("lastActivityAt"),
            organization_id=data.get("organizationId"),
        )
