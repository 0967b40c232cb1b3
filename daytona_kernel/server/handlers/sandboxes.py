"""The routes that create and list sandboxes."""

from __future__ import annotations

import base64
import shutil
import tempfile
from typing import Any

from ...wire.conventions import LOCAL_SNAPSHOTS_VARIABLE, READ_ONLY, READ_WRITE
from .. import failures, limits
from ..toolbox.sandbox import Description, Intervals
from .control import ControlHandler, describe_sandbox
from .fields import field, parse_integer, parse_object, string_map

_NOT_LISTED = {"env", "kvm", "volumes"}
_PAGE = 100  # sandboxes in an answer, unless the request says how many
_ONLY_AT_DAYTONA = {
    "domainAllowList": "list of allowed domains, only of allowed networks",
}


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
        auto_pause = field(body, "autoPauseInterval", int, 0)
        intervals = Intervals(
            auto_stop=field(body, "autoStopInterval", int, 0 if auto_pause else 15),
            auto_pause=auto_pause,
            auto_archive=field(body, "autoArchiveInterval", int, 10080),
            auto_delete=field(body, "autoDeleteInterval", int, -1),
        )
        if min(description.cpu, description.memory, description.disk) < 1:
            raise failures.bad_request("cpu, memory and disk must be at least 1")
        self._refuse_unknown_snapshot(description.snapshot)
        _refuse_impossible(description, field(body, "gpu", int, 0))
        _refuse_unknown_here(body)
        self._refuse_unknown_volumes(field(body, "volumes", list, []))
        if min(intervals.auto_stop, intervals.auto_pause) < 0:
            raise failures.bad_request("autoStopInterval and autoPauseInterval must be non-negative integers")
        if intervals.auto_stop and intervals.auto_pause:
            raise failures.bad_request("autoStopInterval and autoPauseInterval cannot both be set")
        self.answer_sandbox(await self.sandboxes.create(description, intervals))

    def _refuse_unknown_volumes(self, volumes: list[Any]) -> None:
        """Refuse all but the folder that the server mounts into every sandbox."""
        folder = self.sandboxes.folder
        for volume in volumes:
            if folder is not None and volume == folder.volume:
                continue
            mode, _, path = str(volume.get("volumeId") if isinstance(volume, dict) else "").partition(":")
            if mode in (READ_WRITE, READ_ONLY):
                raise failures.bad_request(
                    f"this server does not mount {path!r} in this way. Start it with --{mode} and the "
                    "folder; or set project to the folder alone, to copy it"
                )
            raise failures.bad_request(
                "sandboxes on this machine have no volumes. Leave that out, or set DAYTONA_API_KEY to use "
                "Daytona's"
            )

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
