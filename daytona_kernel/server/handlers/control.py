"""The routes of the control plane: they create, find, start, stop and delete sandboxes."""

from __future__ import annotations

import base64
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...wire.conventions import LOCAL_SNAPSHOTS_VARIABLE
from .. import failures, limits
from ..toolbox.sandbox import Description, Intervals
from .fields import field, parse_integer, parse_object, parse_port, string_map
from .request import SKIP_ACTIVITY, ApiHandler, ToolboxHandler

if TYPE_CHECKING:
    from ..toolbox.sandbox import Sandbox

_NOT_LISTED = {"env", "kvm", "volumes"}
_PAGE = 100  # sandboxes in an answer, unless the request says how many
_DESIRED = {
    "creating": "started",
    "starting": "started",
    "stopping": "stopped",
    "destroying": "destroyed",
    "error": "started",
}
_ONLY_AT_DAYTONA = {
    "volumes": "volumes",
    "domainAllowList": "list of allowed domains, only of allowed networks",
}


class ControlHandler(ApiHandler):
    """A route of the control plane."""

    def toolbox_url(self) -> str:
        """Return the URL of all toolboxes; a sandbox's id follows it."""
        return f"{self.origin}/toolbox"

    def sandbox(self, sandbox_id: str) -> Sandbox:
        """Return the sandbox, and count this request as its activity."""
        sandbox = self.sandboxes.get(sandbox_id)
        if SKIP_ACTIVITY not in self.request.headers:
            sandbox.touch()
        return sandbox

    def answer_sandbox(self, sandbox: Sandbox) -> None:
        """Answer with the description of `sandbox`."""
        self.answer(describe_sandbox(sandbox, self.toolbox_url()))


class ConfigHandler(ControlHandler):
    """The server's configuration, which an SDK reads first."""

    def get(self) -> None:
        self.answer(
            {
                "version": __version__,
                "oidc": {"provider": "", "issuer": "", "clientId": "", "audience": ""},
                "linkedAccountsEnabled": False,
                "announcements": {},
                "proxyTemplateUrl": "http://127.0.0.1:{{PORT}}",
                "proxyToolboxUrl": self.toolbox_url(),
                "defaultSnapshot": "",
                "dashboardUrl": "",
                "maxAutoArchiveInterval": 0,
                "maintananceMode": False,
                "environment": "embedded",
            }
        )


class VersionHandler(ToolboxHandler):
    """The toolbox's version: this package's."""

    def get(self) -> None:
        self.answer({"version": __version__})


class MetricsHandler(ToolboxHandler):
    """What the sandbox uses now."""

    def get(self) -> None:
        self.answer(self.sandbox.describe_usage())


class SandboxesHandler(ControlHandler):
    """Creates a sandbox, or lists sandboxes in pages."""

    async def post(self) -> None:
        body = self.json_body()
        image = field(body, "buildInfo", dict, None)
        if self.sandboxes.profile.sizes_need_image:
            _require_image_for_size(body, image)
        elif image is not None:
            raise failures.bad_request(
                "there are no images: sandboxes on this machine have the machine's own programs. "
                "Leave the image out, or set DAYTONA_API_KEY to use Daytona's"
            )
        description = Description(
            name=field(body, "name", str, ""),
            env=string_map(body, "env"),
            labels=string_map(body, "labels"),
            public=field(body, "public", bool, False),
            target=field(body, "target", str, "local"),
            snapshot=field(body, "snapshot", str, None),
            cpu=field(body, "cpu", int, Description.cpu),
            memory=field(body, "memory", int, Description.memory),
            disk=field(body, "disk", int, Description.disk),
            network_block_all=field(body, "networkBlockAll", bool, False),
            network_allow_list=field(body, "networkAllowList", str, None),
        )
        intervals = Intervals(
            auto_stop=field(body, "autoStopInterval", int, 15),
            auto_archive=field(body, "autoArchiveInterval", int, 10080),
            auto_delete=field(body, "autoDeleteInterval", int, -1),
        )
        if min(description.cpu, description.memory, description.disk) < 1:
            raise failures.bad_request("cpu, memory and disk must be at least 1")
        self._refuse_unknown_snapshot(description.snapshot)
        _refuse_impossible(description, field(body, "gpu", int, 0))
        _refuse_unknown_here(body)
        if intervals.auto_stop < 0:
            raise failures.bad_request("autoStopInterval must be a non-negative integer")
        self.answer_sandbox(await self.sandboxes.create(description, intervals))

    def _refuse_unknown_snapshot(self, name: str | None) -> None:
        if not name:
            return
        known = self.sandboxes.snapshots
        if name not in known:
            there_are = (
                f"this server has {', '.join(sorted(known))}"
                if known
                else f"{LOCAL_SNAPSHOTS_VARIABLE} names none, and sandboxes have the machine's own programs"
            )
            raise failures.bad_request(
                f"there is no snapshot {name!r}: {there_are}. Leave the snapshot out, or set DAYTONA_API_KEY "
                "to use Daytona's"
            )
        if not self.sandboxes.takes_snapshots:
            raise failures.bad_request(
                f"the snapshot {name!r} needs isolation by bubblewrap, which is off on this server"
            )

    def get(self) -> None:
        found = [describe_sandbox(sandbox, self.toolbox_url()) for sandbox in self.sandboxes.all()]
        labels = string_map({"labels": parse_object(self.get_query_argument("labels", "") or "{}")}, "labels")
        states = self.get_query_arguments("states")
        wanted_id = self.get_query_argument("id", "")
        wanted_name = self.get_query_argument("name", "")
        found = [
            about
            for about in found
            if labels.items() <= about["labels"].items()
            and (not states or about["state"] in states)
            and about["id"].startswith(wanted_id)
            and about["name"].startswith(wanted_name)
        ]
        limit = parse_integer(self.get_query_argument("limit", "") or str(_PAGE), "limit")
        if limit < 1:
            raise failures.bad_request("limit must be at least 1")
        # The cursor names the last sandbox of the previous page, so a deletion between pages skips nothing.
        cursor = self.get_query_argument("cursor", "")
        if cursor:
            after = _position(cursor)
            found = [about for about in found if (about["createdAt"], about["id"]) < after]
        page = found[:limit]
        more = len(found) > limit
        last = f"{page[-1]['createdAt']}|{page[-1]['id']}" if page else ""
        items = [{key: value for key, value in about.items() if key not in _NOT_LISTED} for about in page]
        self.answer(
            {
                "items": items,
                "nextCursor": base64.urlsafe_b64encode(last.encode()).decode() if more else None,
            }
        )


class SandboxHandler(ControlHandler):
    """One sandbox."""

    def get(self, sandbox_id: str) -> None:
        self.answer_sandbox(self.sandboxes.get(sandbox_id))

    async def delete(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.delete(sandbox)
        self.answer_sandbox(sandbox)


class StartHandler(ControlHandler):
    """Starts a sandbox."""

    async def post(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.start(sandbox)
        self.answer_sandbox(sandbox)


class StopHandler(ControlHandler):
    """Stops a sandbox."""

    async def post(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.stop(sandbox)
        self.answer_sandbox(sandbox)


class LabelsHandler(ControlHandler):
    """Replaces a sandbox's labels."""

    def put(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        sandbox.description.labels = string_map(self.json_body(), "labels")
        self.answer({"labels": sandbox.description.labels})


class IntervalHandler(ControlHandler):
    """Sets the interval `name` of a sandbox, in minutes."""

    def initialize(self, name: str) -> None:
        self._name = name

    def post(self, sandbox_id: str, minutes: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        value = parse_integer(minutes, "interval")
        if value < 0 and self._name != "auto_delete":
            raise failures.bad_request("interval must be a non-negative integer")
        sandbox.set_interval(self._name, value)
        self.answer_sandbox(sandbox)


class PublicHandler(ControlHandler):
    """Marks a sandbox as public or private. The mark has no effect here."""

    def post(self, sandbox_id: str, public: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        sandbox.description.public = public == "true"
        self.answer_sandbox(sandbox)


class LastActivityHandler(ControlHandler):
    """Counts as activity and does nothing else."""

    def post(self, sandbox_id: str) -> None:
        self.sandbox(sandbox_id).touch()
        self.set_status(201)
        self.finish()


class ToolboxUrlHandler(ControlHandler):
    """The URL of the toolboxes."""

    def get(self, sandbox_id: str) -> None:
        self.sandboxes.get(sandbox_id)
        self.answer({"url": self.toolbox_url()})


class PreviewUrlHandler(ControlHandler):
    """The preview URL of a port."""

    async def get(self, sandbox_id: str, port: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        number = parse_port(port)
        self.answer(
            {
                "sandboxId": sandbox.id,
                "url": await sandbox.preview_url(number),
                "token": sandbox.preview_token,
            }
        )


def _position(cursor: str) -> tuple[str, str]:
    """Return the creation time and the id that a cursor names."""
    try:
        created_at, sandbox_id = base64.urlsafe_b64decode(cursor).decode().split("|")
    except ValueError:
        raise failures.bad_request("invalid cursor") from None
    return created_at, sandbox_id


def _require_image_for_size(body: dict[str, Any], image: dict[str, Any] | None) -> None:
    if image is None and any(body.get(name) for name in ("cpu", "gpu", "memory", "disk")):
        raise failures.ApiError(400, "Cannot specify Sandbox resources when using a snapshot", "BAD_REQUEST")
    if image is not None and body.get("snapshot"):
        raise failures.ApiError(400, "Cannot specify a snapshot when using a build info entry", "BAD_REQUEST")


def _refuse_impossible(wanted: Description, gpus: int) -> None:
    """Refuse a sandbox that this machine cannot make, before anything is made or deleted for it."""
    if gpus > 0:
        raise failures.bad_request("sandboxes on this machine have no GPU")
    for amount, most, unit in (
        (wanted.cpu, Description.cpu, "cores"),
        (wanted.memory, Description.memory, "GiB of memory"),
        (wanted.disk, max(free_disk(), Description.disk), "GiB of free disk"),
    ):
        if amount > most:
            raise failures.bad_request(f"this machine has {most} {unit}, and not {amount}")


def _refuse_unknown_here(body: dict[str, Any]) -> None:
    """Refuse what only Daytona has. A sandbox without it would be another one than the client wants."""
    for name, what in _ONLY_AT_DAYTONA.items():
        if body.get(name):
            raise failures.bad_request(
                f"sandboxes on this machine have no {what}. Leave that out, or set DAYTONA_API_KEY to use "
                "Daytona's"
            )


def free_disk() -> int:
    """Return the GiB that are free where sandboxes keep their files."""
    return shutil.disk_usage(tempfile.gettempdir()).free // limits.GIB


def describe_sandbox(sandbox: Sandbox, toolbox_url: str) -> dict[str, Any]:
    """Return `sandbox` in the API's JSON."""
    about = sandbox.description
    return {
        "id": sandbox.id,
        "organizationId": "local",
        "name": about.name,
        "snapshot": about.snapshot,
        "user": "daytona",
        "env": about.env,
        "labels": about.labels,
        "public": about.public,
        "networkBlockAll": about.network_block_all,
        **({} if about.network_allow_list is None else {"networkAllowList": about.network_allow_list}),
        "kvm": False,
        "target": about.target,
        "cpu": about.cpu,
        "gpu": 0,
        "memory": about.memory,
        "disk": about.disk,
        "state": sandbox.state,
        "desiredState": _DESIRED.get(sandbox.state, sandbox.state),
        **({} if sandbox.error_reason is None else {"errorReason": sandbox.error_reason}),
        "backupState": "None",
        "autoStopInterval": sandbox.intervals.auto_stop,
        "autoArchiveInterval": sandbox.intervals.auto_archive,
        "autoDeleteInterval": sandbox.intervals.auto_delete,
        "volumes": [],
        "createdAt": sandbox.created_at,
        "updatedAt": sandbox.updated_at,
        "lastActivityAt": sandbox.last_activity_at,
        "sandboxClass": "container",
        "toolboxProxyUrl": toolbox_url,
    }
