"""The control plane: sandboxes are created, found, started, stopped and deleted."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from ..._version import __version__
from .. import failures
from ..toolbox.sandbox import Description, Intervals
from .request import SKIP_ACTIVITY, ApiHandler, ToolboxHandler, field, string_map

if TYPE_CHECKING:
    from ..toolbox.sandbox import Sandbox

_NOT_LISTED = {"env", "kvm", "volumes"}
_PAGE = 100


class ControlHandler(ApiHandler):
    """A route of the control plane."""

    def toolbox_url(self) -> str:
        return f"{self.origin}/toolbox"

    def sandbox(self, sandbox_id: str) -> Sandbox:
        """Return the sandbox, and count the request as activity."""
        sandbox = self.sandboxes.get(sandbox_id)
        if SKIP_ACTIVITY not in self.request.headers:
            sandbox.touch()
        return sandbox

    def answer_sandbox(self, sandbox: Sandbox) -> None:
        self.answer(sandbox.describe(self.toolbox_url()))


class ConfigHandler(ControlHandler):
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
    def get(self) -> None:
        self.answer({"version": __version__})


class SandboxesHandler(ControlHandler):
    async def post(self) -> None:
        body = self.json_body()
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
        )
        intervals = Intervals(
            auto_stop=field(body, "autoStopInterval", int, 15),
            auto_archive=field(body, "autoArchiveInterval", int, 10080),
            auto_delete=field(body, "autoDeleteInterval", int, -1),
        )
        if intervals.auto_stop < 0:
            raise failures.bad_request("autoStopInterval must be a non-negative integer")
        self.answer_sandbox(await self.sandboxes.create(description, intervals))

    def get(self) -> None:
        found = [one.describe(self.toolbox_url()) for one in self.sandboxes.all()]
        labels = json.loads(self.get_query_argument("labels", "") or "{}")
        states = self.get_query_arguments("states")
        wanted_id = self.get_query_argument("id", "")
        wanted_name = self.get_query_argument("name", "")
        found = [
            one
            for one in found
            if labels.items() <= one["labels"].items()
            and (not states or one["state"] in states)
            and one["id"].startswith(wanted_id)
            and one["name"].startswith(wanted_name)
        ]
        limit = int(self.get_query_argument("limit", "") or _PAGE)
        # The cursor is the last sandbox of the page before, so deletions between pages do no harm.
        cursor = self.get_query_argument("cursor", "")
        if cursor:
            after = base64.urlsafe_b64decode(cursor).decode()
            found = [one for one in found if (one["createdAt"], one["id"]) < tuple(after.split("|"))]
        page = found[:limit]
        more = len(found) > limit
        last = f"{page[-1]['createdAt']}|{page[-1]['id']}" if page else ""
        items = [{key: value for key, value in one.items() if key not in _NOT_LISTED} for one in page]
        self.answer(
            {
                "items": items,
                "nextCursor": base64.urlsafe_b64encode(last.encode()).decode() if more else None,
            }
        )


class SandboxHandler(ControlHandler):
    def get(self, sandbox_id: str) -> None:
        self.answer_sandbox(self.sandboxes.get(sandbox_id))

    async def delete(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await self.sandboxes.delete(sandbox)
        self.answer_sandbox(sandbox)


class StartHandler(ControlHandler):
    async def post(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await sandbox.start()
        self.answer_sandbox(sandbox)


class StopHandler(ControlHandler):
    async def post(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        await sandbox.stop()
        self.answer_sandbox(sandbox)


class LabelsHandler(ControlHandler):
    def put(self, sandbox_id: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        sandbox.description.labels = string_map(self.json_body(), "labels")
        self.answer({"labels": sandbox.description.labels})


class IntervalHandler(ControlHandler):
    """Sets one of the intervals, in minutes; `name` says which."""

    def initialize(self, name: str) -> None:
        self._name = name

    def post(self, sandbox_id: str, minutes: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        value = parse_integer(minutes, "interval")
        if value < 0 and self._name != "auto_delete":
            raise failures.bad_request("the interval must be a non-negative integer")
        sandbox.set_interval(self._name, value)
        self.answer_sandbox(sandbox)


class PublicHandler(ControlHandler):
    def post(self, sandbox_id: str, public: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        sandbox.description.public = public == "true"
        self.answer_sandbox(sandbox)


class LastActivityHandler(ControlHandler):
    def post(self, sandbox_id: str) -> None:
        self.sandbox(sandbox_id).touch()
        self.set_status(201)
        self.finish()


class ToolboxUrlHandler(ControlHandler):
    def get(self, sandbox_id: str) -> None:
        self.sandboxes.get(sandbox_id)
        self.answer({"url": self.toolbox_url()})


class PreviewUrlHandler(ControlHandler):
    """A port of the sandbox is a port of this machine: there is no hop through a proxy."""

    def get(self, sandbox_id: str, port: str) -> None:
        sandbox = self.sandbox(sandbox_id)
        number = parse_port(port)
        self.answer(
            {
                "sandboxId": sandbox.id,
                "url": f"http://127.0.0.1:{number}",
                "token": sandbox.preview_token,
            }
        )


def parse_integer(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise failures.bad_request(f"{what} must be an integer") from None


def parse_port(text: str) -> int:
    port = parse_integer(text, "port")
    if not 1 <= port <= 65535:
        raise failures.bad_request("port must be between 1 and 65535")
    return port
