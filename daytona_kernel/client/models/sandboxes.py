"""Sandboxes, and the properties of new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


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
    auto_pause_interval: minutes without activity until it pauses, instead of the stop; 0 for never.
    auto_archive_interval: minutes until the stopped sandbox is archived; 0 for the longest interval.
    auto_delete_interval: minutes until the stopped sandbox is deleted; 0 for at once, negative for never.
    ephemeral: whether it is deleted as soon as it stops, as with `auto_delete_interval` 0.
    network_block_all: whether it has no network. network_allow_list, domain_allow_list: the networks and
        domains that it may reach, with commas between them.
    volumes: volumes of the account. resources: its size; Daytona takes it only with an image.
    secrets: names of secrets of the account, by the variables that have their placeholders.
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
    auto_pause_interval: int | None = None
    auto_archive_interval: int | None = None
    auto_delete_interval: int | None = None
    ephemeral: bool | None = None
    network_block_all: bool | None = None
    network_allow_list: str | None = None
    domain_allow_list: str | None = None
    volumes: list[VolumeMount] | None = None
    secrets: dict[str, str] | None = None
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
class SandboxUsage:
    """What a sandbox uses now, and what it may use. Memory and disk are in bytes."""

    cpu_count: float
    cpu_percent: float
    memory_total: int
    memory_used: int
    disk_total: int
    disk_used: int

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SandboxUsage:
        """Return the usage from the JSON of the toolbox. Raises ValueError, KeyError or TypeError."""
        return cls(
            cpu_count=float(data["cpuCount"]),
            cpu_percent=float(data["cpuUsedPct"]),
            memory_total=int(data["memTotal"]),
            memory_used=int(data["memUsed"]),
            disk_total=int(data["diskTotal"]),
            disk_used=int(data["diskUsed"]),
        )


@dataclass(frozen=True)
class SandboxInstance:
    """A sandbox as Daytona described it.

    state: for example "started", "stopped" or "error". toolbox_url: the URL of its toolbox.
    cpu: cores. memory, disk: in GiB. The intervals are minutes. Dates are in ISO 8601.
    image: the Dockerfile of its image; None for a snapshot.
    destroyed_at: the date of its deletion, whatever its state; None for no such date.
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
    auto_pause_interval: int | None = None
    auto_archive_interval: int | None = None
    auto_delete_interval: int | None = None
    error_reason: str | None = None
    destroyed_at: str | None = None
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
            auto_pause_interval=data.get("autoPauseInterval"),
            auto_archive_interval=data.get("autoArchiveInterval"),
            auto_delete_interval=data.get("autoDeleteInterval"),
            error_reason=data.get("errorReason"),
            destroyed_at=data.get("autoDestroyAt"),
            created_at=data.get("createdAt"),
            last_activity_at=data.get("lastActivityAt"),
            organization_id=data.get("organizationId"),
        )
