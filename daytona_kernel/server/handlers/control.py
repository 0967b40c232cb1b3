"""The routes of the control plane about one sandbox, and about the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._version import __version__
from .. import failures
from .fields import parse_integer, parse_port, string_map
from .request import SKIP_ACTIVITY, ApiHandler, ToolboxHandler

if TYPE_CHECKING:
    from ..toolbox.sandbox import Sandbox

_DESIRED = {
    "creating": "started",
    "starting": "started",
    "stopping": "stopped",
    "destroying": "destroyed",
    "pausing": "paused",
    "resuming": "started",
    "error": "started",
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


class SandboxHandler(ControlHandler):
    """One sandbox."""

    def get(self, sandbox_id: str) -> None:
        self.answer_sandbox(self.sandboxes.get(sandbox_id))

    async def delete(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.delete(sandbox)
        self.answer_sandbox(sandbox)


class StartHandler(ControlHandler):
    """Starts a stopped sandbox, or resumes a paused one."""

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


class PauseHandler(ControlHandler):
    """Pauses a sandbox."""

    async def post(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.pause(sandbox)
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
        "autoPauseInterval": sandbox.intervals.auto_pause,
        "autoArchiveInterval": sandbox.intervals.auto_archive,
        "autoDeleteInterval": sandbox.intervals.auto_delete,
        "volumes": sandbox.volumes,
        "createdAt": sandbox.created_at,
        "updatedAt": sandbox.updated_at,
        "lastActivityAt": sandbox.last_activity_at,
        "sandboxClass": "container",
        "toolboxProxyUrl": toolbox_url,
    }
