"""The operations on sandboxes as a whole."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from ... import known_secrets
from ...errors import DaytonaError, DaytonaNotFoundError, DaytonaTimeoutError
from ..exchange import Exchange, Request, Sleep
from ..models.sandboxes import (
    CreateSandboxFromSnapshotParams,
    ListSandboxesQuery,
    PreviewUrl,
    SandboxInstance,
    VolumeMount,
)
from ..retries import send
from . import table
from .secrets import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .table import Operation

LANGUAGE_LABEL = "code-toolbox-language"

_FAILED = ("error", "build_failed")
_GONE = ("destroyed", "destroying")
_FIRST_POLL, _LONGEST_POLL = 0.05, 1.0


class Subject(Protocol):
    """The sandbox that an operation is on. Operations replace its `instance`."""

    instance: SandboxInstance


def create_sandbox(
    params: CreateSandboxFromSnapshotParams, target: str | None, timeout: float
) -> Exchange[SandboxInstance]:
    """Create a sandbox and return it when it has started; see `Daytona.create`."""
    resources = params.resources
    body: dict[str, Any] = {
        "name": params.name,
        "snapshot": params.snapshot,
        "target": params.target or target,
        "user": params.os_user,
        "env": params.env_vars or {},
        "labels": {**(params.labels or {}), LANGUAGE_LABEL: params.language or "python"},
        "public": params.public,
        "autoStopInterval": params.auto_stop_interval,
        "autoPauseInterval": params.auto_pause_interval,
        "autoArchiveInterval": params.auto_archive_interval,
        "autoDeleteInterval": 0 if params.ephemeral else params.auto_delete_interval,
        "networkBlockAll": params.network_block_all,
        "networkAllowList": params.network_allow_list,
        "domainAllowList": params.domain_allow_list,
        "buildInfo": params.image and {"dockerfileContent": f"FROM {params.image}\n"},
        "cpu": resources and resources.cpu,
        "memory": resources and resources.memory,
        "disk": resources and resources.disk,
        "gpu": resources and resources.gpu,
        "volumes": [_mount(each) for each in params.volumes or ()],
        "secrets": mounted(params.secrets) if params.secrets else None,
    }
    deadline = _deadline(timeout)
    created = yield from _instance(
        Request(table.CREATE_SANDBOX, json={k: v for k, v in body.items() if v is not None})
    )
    try:
        return (yield from _wait(created, "started", deadline, is_new=True))
    except DaytonaError as error:
        error.sandbox_id = created.id
        raise


def _mount(volume: VolumeMount) -> dict[str, str]:
    mount = {"volumeId": volume.volume_id, "mountPath": volume.mount_path}
    return mount if volume.subpath is None else {**mount, "subpath": volume.subpath}


def get_sandbox(sandbox_id_or_name: str) -> Exchange[SandboxInstance]:
    """Return a sandbox. Raises DaytonaNotFoundError if none has this id or name."""
    if not sandbox_id_or_name:
        raise DaytonaNotFoundError("The sandbox id or name must not be empty.")
    return (yield from _instance(Request(table.GET_SANDBOX, {"sandbox_id": sandbox_id_or_name})))


def list_page(
    query: ListSandboxesQuery, cursor: str | None
) -> Exchange[tuple[list[SandboxInstance], str | None]]:
    """Return one page of sandboxes and the cursor of the next page; None after the last page."""
    given: dict[str, Any] = {
        "cursor": cursor,
        "limit": query.limit,
        "id": query.id,
        "name": query.name,
        "labels": json.dumps(query.labels) if query.labels else None,
        "states": ",".join(query.states) if query.states else None,
    }
    response = yield from send(
        Request(
            table.LIST_SANDBOXES,
            query={name: str(value) for name, value in given.items() if value is not None},
        )
    )
    page = response.json()
    if isinstance(page, list):  # an older control plane without pages
        return [SandboxInstance.from_json(item) for item in page], None
    return [SandboxInstance.from_json(item) for item in page["items"]], page.get("nextCursor") or None


def refresh_data(sandbox: Subject) -> Exchange[None]:
    """Fetch the sandbox's current description into `instance`."""
    sandbox.instance = yield from get_sandbox(sandbox.instance.id)


def start(sandbox: Subject, timeout: float = 60) -> Exchange[None]:
    """Start a stopped sandbox or resume a paused one, and return when it has started.

    timeout: seconds to wait; 0 waits as long as it takes. Raises DaytonaTimeoutError after that.
    """
    started = yield from _instance(_request(table.START_SANDBOX, sandbox))
    sandbox.instance = yield from _wait(started, "started", _deadline(timeout))


def stop(sandbox: Subject, timeout: float = 60, force: bool = False) -> Exchange[None]:
    """Stop the sandbox and return when it has stopped. Its files are kept; its processes end.

    timeout: seconds to wait; 0 waits as long as it takes. Raises DaytonaTimeoutError after that.
    force: kill the processes instead of asking them to end first.
    """
    request = _request(table.STOP_SANDBOX, sandbox, query={"force": "true" if force else "false"})
    stopping = yield from _instance(request)
    sandbox.instance = yield from _wait(stopping, "stopped", _deadline(timeout))


def pause(sandbox: Subject, timeout: float = 60) -> Exchange[None]:
    """Pause the sandbox and return when it has paused. Its processes are frozen until `start`.

    timeout: seconds to wait; 0 waits as long as it takes. Raises DaytonaTimeoutError after that, and
    DaytonaError if sandboxes of its class cannot pause.
    """
    pausing = yield from _instance(_request(table.PAUSE_SANDBOX, sandbox))
    sandbox.instance = yield from _wait(pausing, "paused", _deadline(timeout))


def delete(sandbox: Subject) -> Exchange[None]:
    """Delete the sandbox and everything in it. Daytona may finish the deletion later."""
    yield from send(_request(table.DELETE_SANDBOX, sandbox))


def set_labels(sandbox: Subject, labels: dict[str, str]) -> Exchange[dict[str, str]]:
    """Replace all labels of the sandbox, including the one for its language, and return the new ones.

    To keep the present labels, pass `{**sandbox.labels, …}`, as with Daytona's SDK. `process.code_run`
    keeps its language.
    """
    response = yield from send(_request(table.SET_LABELS, sandbox, json={"labels": labels}))
    answered: dict[str, str] = response.json().get("labels", labels)
    sandbox.instance = replace(sandbox.instance, labels=answered)
    return answered


def set_autostop_interval(sandbox: Subject, interval: int) -> Exchange[None]:
    """Set the minutes without activity after which the sandbox stops; 0 for never."""
    yield from send(_request(table.SET_AUTO_STOP, sandbox, minutes=str(interval)))
    sandbox.instance = replace(sandbox.instance, auto_stop_interval=interval)


def set_auto_pause_interval(sandbox: Subject, interval: int) -> Exchange[None]:
    """Set the minutes without activity after which the sandbox pauses; 0 for never."""
    yield from send(_request(table.SET_AUTO_PAUSE, sandbox, minutes=str(interval)))
    sandbox.instance = replace(sandbox.instance, auto_pause_interval=interval)


def set_auto_archive_interval(sandbox: Subject, interval: int) -> Exchange[None]:
    """Set the minutes after which a stopped sandbox is archived; 0 for the longest interval."""
    yield from send(_request(table.SET_AUTO_ARCHIVE, sandbox, minutes=str(interval)))
    sandbox.instance = replace(sandbox.instance, auto_archive_interval=interval)


def set_auto_delete_interval(sandbox: Subject, interval: int) -> Exchange[None]:
    """Set the minutes after which a stopped sandbox is deleted; 0 for at once, negative for never."""
    yield from send(_request(table.SET_AUTO_DELETE, sandbox, minutes=str(interval)))
    sandbox.instance = replace(sandbox.instance, auto_delete_interval=interval)


def refresh_activity(sandbox: Subject) -> Exchange[None]:
    """Report activity, which restarts the interval of the automatic stop."""
    yield from send(_request(table.REFRESH_ACTIVITY, sandbox))


def preview_url(sandbox: Subject, port: int) -> Exchange[PreviewUrl]:
    """Return the URL at which a port of the sandbox is reachable from outside, and its token."""
    response = yield from send(_request(table.GET_PREVIEW_URL, sandbox, port=str(port)))
    answer = response.json()
    known_secrets.add(answer.get("token"))
    return PreviewUrl(answer["url"], answer.get("token") or "")


def _request(
    operation: Operation,
    sandbox: Subject,
    *,
    query: Mapping[str, str] = MappingProxyType({}),
    json: Any = None,
    **fields: str,
) -> Request:
    return Request(operation, {"sandbox_id": sandbox.instance.id, **fields}, query=query, json=json)


def _instance(request: Request) -> Exchange[SandboxInstance]:
    response = yield from send(request)
    data = response.json()
    if not data.get("toolboxProxyUrl"):
        # Older control planes omit the URL from the sandbox's description.
        response = yield from send(Request(table.GET_TOOLBOX_URL, {"sandbox_id": data["id"]}))
        data["toolboxProxyUrl"] = response.json()["url"]
    return SandboxInstance.from_json(data)


def _wait(
    instance: SandboxInstance, state: str, deadline: Callable[[], bool], *, is_new: bool = False
) -> Exchange[SandboxInstance]:
    """Wait until the sandbox has the state. A new one that fails is deleted: it would stay in the account."""
    pause = _FIRST_POLL
    while instance.state != state:
        if instance.state in _FAILED:
            reason = instance.error_reason or "Daytona gives no reason"
            if is_new:
                with suppress(DaytonaError):
                    yield from send(Request(table.DELETE_SANDBOX, {"sandbox_id": instance.id}))
            raise DaytonaError(f"Sandbox {instance.id} failed before it was {state}: {reason.rstrip('.')}.")
        if instance.state in _GONE:
            raise DaytonaNotFoundError(f"Sandbox {instance.id} was deleted before it was {state}.")
        if deadline():
            raise DaytonaTimeoutError(
                f"Sandbox {instance.id} is not {state} yet; its state is {instance.state}. "
                "Use get() to check it again."
            )
        yield Sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL)
        instance = yield from get_sandbox(instance.id)
    return instance


def _deadline(timeout: float) -> Callable[[], bool]:
    end = time.monotonic() + timeout
    return lambda: bool(timeout) and time.monotonic() > end
