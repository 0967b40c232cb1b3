"""The arguments and results of the client's methods, with the names of Daytona's Process page and SDK."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..wire.logs import LogDemultiplexer, Stream

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Chart:
    """A figure that code in `code_run` drew with Matplotlib.

    type: "line", "scatter", "bar", "pie", "box_and_whisker", "composite_chart" or "unknown".
    title: None for a figure without a title.
    png: the picture as base64; None for none.
    elements: the points, bars or slices; for a composite chart, its charts.
    data: the chart's JSON as Daytona sent it.
    """

    type: str
    title: str | None = None
    png: str | None = field(default=None, repr=False)
    elements: list[Any] = field(default_factory=list, repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def png_bytes(self) -> bytes | None:
        """The picture's bytes; None for none."""
        return None if self.png is None else base64.b64decode(self.png)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Chart:
        """Return a chart from the JSON of Daytona's API."""
        kind = data.get("type") or "unknown"
        elements = data.get("elements") or []
        if kind == "composite_chart":
            elements = [cls.from_json(element) for element in elements]
        return cls(kind, data.get("title"), data.get("png"), elements, data)


@dataclass(frozen=True)
class ExecutionArtifacts:
    """The output of an execution: `stdout`, equal to its `result`, and `charts`."""

    stdout: str = ""
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class ExecuteResponse:
    """The outcome of `exec` or `code_run`.

    exit_code: the status; -1 if a signal ended the shell, or the shell could not be started.
    result: the output; for `exec`, stdout and stderr in one text.
    artifacts: the output and the charts that the code drew.
    """

    exit_code: int
    result: str = ""
    artifacts: ExecutionArtifacts = field(default_factory=ExecutionArtifacts)

    @property
    def started(self) -> bool:
        """Whether the command started. It does not if its `cwd` does not exist."""
        return not (self.exit_code == -1 and self.result.startswith("fork/exec "))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExecuteResponse:
        """Return a response from the JSON of Daytona's API."""
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
    """The arguments (`sys.argv[1:]`) and environment variables of code in `code_run`; None for none."""

    argv: list[str] | None = None
    env: dict[str, str] | None = field(default=None, repr=False)


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
    """A session and its commands, the oldest first."""

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


@dataclass(frozen=True)
class FileInfo:
    """A file or folder in a sandbox.

    size: in bytes. mode: as `ls -l` prints it. permissions: an octal number.
    modified_at: in ISO 8601; None if unknown. path: None if unknown.
    """

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
        """Return a file's description from the JSON of Daytona's API."""
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
    """A file to upload.

    source: its bytes, or the path of a local file. destination: its path in the sandbox.
    """

    source: bytes | str
    destination: str


class PreviewUrl(NamedTuple):
    """The URL of a sandbox's port, and the token for the header `x-daytona-preview-token`."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"PreviewUrl(url={self.url!r}, token=…)"


@dataclass(frozen=True)
class Resources:
    """The resources of a new sandbox; None for Daytona's default.

    cpu: cores. memory, disk: in GiB. gpu: units.
    """

    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None
    gpu: int | None = None


@dataclass(frozen=True)
class VolumeMount:
    """A volume, by its id or name; its path in a sandbox; and the part of it that is there, None for all."""

    volume_id: str
    mount_path: str
    subpath: str | None = None


@dataclass
class CreateSandboxFromSnapshotParams:
    """The properties of a new sandbox; None leaves a property to Daytona.

    language: the language of `code_run`: "python" (also None), "javascript" or "typescript".
    snapshot: the snapshot that the sandbox is created from. image: a container image instead of a snapshot.
    target: the region.
    os_user: the user that commands run as.
    env_vars: environment variables of all its processes. labels: names and values to find it by.
    public: whether its ports are reachable without a token.
    auto_stop_interval: minutes without activity until it stops; 0 for never, None for 15.
    auto_archive_interval: minutes until the stopped sandbox is archived; 0 for the longest interval.
    auto_delete_interval: minutes until the stopped sandbox is deleted; 0 for at once, negative for never.
    ephemeral: whether it is deleted as soon as it stops, as with `auto_delete_interval` 0.
    network_block_all: whether it has no network. network_allow_list, domain_allow_list: the networks and
        domains that it may reach, with commas between them.
    volumes: volumes of the account. resources: its size; Daytona takes it only with an image.
    """

    name: str | None = None
    language: str | None = None
    snapshot: str | None = None
    image: str | None = None
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
    domain_allow_list: str | None = None
    volumes: list[VolumeMount] | None = None
    resources: Resources | None = None


CreateSandboxParams = CreateSandboxFromSnapshotParams


@dataclass
class ListSandboxesQuery:
    """A filter for lists of sandboxes; None matches all.

    limit: the number of sandboxes on a page, which does not limit the list.
    states: for example "started" or "stopped".
    """

    limit: int | None = None
    id: str | None = None
    name: str | None = None
    labels: dict[str, str] | None = None
    states: list[str] | None = None


@dataclass(frozen=True)
class SandboxInstance:
    """A sandbox as Daytona described it.

    state: for example "started", "stopped" or "error". toolbox_url: the URL of its toolbox.
    cpu: cores. memory, disk: in GiB. The intervals are minutes. Dates are in ISO 8601.
    image: the Dockerfile of its image; None for a snapshot.
    """

    id: str
    name: str
    state: str
    toolbox_url: str = ""
    target: str = ""
    user: str = ""
    snapshot: str | None = None
    image: str | None = None
    env: dict[str, str] = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    public: bool = False
    network_block_all: bool = False
    network_allow_list: str | None = None
    domain_allow_list: str | None = None
    volumes: list[VolumeMount] = field(default_factory=list)
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
        """Return a sandbox's description from the JSON of Daytona's API."""
        proxy = data.get("toolboxProxyUrl") or ""
        return cls(
            id=data["id"],
            name=data.get("name") or data["id"],
            state=data.get("state") or "unknown",
            toolbox_url=f"{proxy.rstrip('/')}/{data['id']}" if proxy else "",
            target=data.get("target") or "",
            user=data.get("user") or "",
            snapshot=data.get("snapshot"),
            image=(data.get("buildInfo") or {}).get("dockerfileContent"),
            env=data.get("env") or {},
            labels=data.get("labels") or {},
            public=bool(data.get("public")),
            network_block_all=bool(data.get("networkBlockAll")),
            network_allow_list=data.get("networkAllowList"),
            domain_allow_list=data.get("domainAllowList"),
            volumes=[
                VolumeMount(each["volumeId"], each["mountPath"], each.get("subpath"))
                for each in data.get("volumes") or []
            ],
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
