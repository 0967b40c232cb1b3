"""A sandbox: its description, its processes, its files and its life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .filesystem import AsyncFileSystem, FileSystem
from .operations import files, sandboxes, secrets
from .process import AsyncProcess, Process
from .run_commands import code_toolbox
from .twins import async_subject_method, subject_method

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

    from .api import Api, AsyncApi
    from .models.sandboxes import SandboxInstance, SandboxUsage


class _Described:
    """The description of a sandbox that Daytona last sent. `refresh_data` fetches it again."""

    instance: SandboxInstance

    @property
    def id(self) -> str:
        """The sandbox's id, which never changes."""
        return self.instance.id

    @property
    def name(self) -> str:
        """The sandbox's name; its id if it was created without a name."""
        return self.instance.name

    @property
    def state(self) -> str:
        """The state in Daytona's words, for example "started", "stopped" or "error"."""
        return self.instance.state

    @property
    def labels(self) -> dict[str, str]:
        """The sandbox's labels, including the one for its language."""
        return self.instance.labels

    @property
    def target(self) -> str:
        """The region where the sandbox runs."""
        return self.instance.target

    @property
    def toolbox_url(self) -> str:
        """The URL of the sandbox's toolbox. Requests to it need the API key."""
        return self.instance.toolbox_url

    @property
    def language(self) -> str:
        """The language that `process.code_run` runs by default."""
        return self.instance.labels.get(sandboxes.LANGUAGE_LABEL) or "python"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state}>"


class Sandbox(_Described):
    """A sandbox.

    process: runs commands and code in the sandbox. fs: reads and writes its files.
    instance: the description that Daytona last sent.
    """

    def __init__(self, api: Api, instance: SandboxInstance) -> None:
        self._api = api
        self._toolbox = api.at(instance.toolbox_url)
        self.instance = instance
        self.process = Process(code_toolbox(self.language), self._toolbox, instance)
        self.fs = FileSystem(self._toolbox)

    refresh_data = subject_method(sandboxes.refresh_data)
    start = subject_method(sandboxes.start)
    stop = subject_method(sandboxes.stop)
    pause = subject_method(sandboxes.pause)
    delete = subject_method(sandboxes.delete)
    set_labels = subject_method(sandboxes.set_labels)
    set_autostop_interval = subject_method(sandboxes.set_autostop_interval)
    set_auto_pause_interval = subject_method(sandboxes.set_auto_pause_interval)
    set_auto_archive_interval = subject_method(sandboxes.set_auto_archive_interval)
    set_auto_delete_interval = subject_method(sandboxes.set_auto_delete_interval)
    update_secrets = subject_method(secrets.update_secrets)
    refresh_activity = subject_method(sandboxes.refresh_activity)
    preview_url = subject_method(sandboxes.preview_url)
    get_preview_link = preview_url

    def get_work_dir(self) -> str:
        """Return the directory that commands start in."""
        return self._toolbox.run(files.get_work_dir())

    def get_user_home_dir(self) -> str:
        """Return the home directory of the sandbox's user."""
        return self._toolbox.run(files.get_user_home_dir())

    def get_version(self) -> str:
        """Return the version of the sandbox's toolbox."""
        return self._toolbox.run(files.get_version())

    def get_metrics_latest(self) -> SandboxUsage:
        """Return what the sandbox uses now, and what it may use."""
        return self._toolbox.run(files.get_usage())

    def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> WebSocket:
        """Open a websocket to a port of the sandbox. The caller closes it.

        url: below the port's preview URL, or `{toolbox_url}/proxy/{port}/…`. The API key is sent only
            to the toolbox.
        headers: sent in addition to those that authorize the request.

        Raises DaytonaConnectionError if the websocket cannot be opened, and the exception for the
        response's status if that is not 101.
        """
        sent = {**self._toolbox.headers_for(url), **(headers or {})}
        return self._toolbox.transport.open_websocket(url, sent, subprotocols)


class AsyncSandbox(_Described):
    """The async form of `Sandbox`, with the same methods."""

    def __init__(self, api: AsyncApi, instance: SandboxInstance) -> None:
        self._api = api
        self._toolbox = api.at(instance.toolbox_url)
        self.instance = instance
        self.process = AsyncProcess(code_toolbox(self.language), self._toolbox, instance)
        self.fs = AsyncFileSystem(self._toolbox)

    refresh_data = async_subject_method(sandboxes.refresh_data)
    start = async_subject_method(sandboxes.start)
    stop = async_subject_method(sandboxes.stop)
    pause = async_subject_method(sandboxes.pause)
    delete = async_subject_method(sandboxes.delete)
    set_labels = async_subject_method(sandboxes.set_labels)
    set_autostop_interval = async_subject_method(sandboxes.set_autostop_interval)
    set_auto_pause_interval = async_subject_method(sandboxes.set_auto_pause_interval)
    set_auto_archive_interval = async_subject_method(sandboxes.set_auto_archive_interval)
    set_auto_delete_interval = async_subject_method(sandboxes.set_auto_delete_interval)
    update_secrets = async_subject_method(secrets.update_secrets)
    refresh_activity = async_subject_method(sandboxes.refresh_activity)
    preview_url = async_subject_method(sandboxes.preview_url)
    get_preview_link = preview_url

    async def get_work_dir(self) -> str:
        """See `Sandbox.get_work_dir`."""
        return await self._toolbox.run(files.get_work_dir())

    async def get_user_home_dir(self) -> str:
        """See `Sandbox.get_user_home_dir`."""
        return await self._toolbox.run(files.get_user_home_dir())

    async def get_version(self) -> str:
        """See `Sandbox.get_version`."""
        return await self._toolbox.run(files.get_version())

    async def get_metrics_latest(self) -> SandboxUsage:
        """See `Sandbox.get_metrics_latest`."""
        return await self._toolbox.run(files.get_usage())

    async def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> AsyncWebSocket:
        """See `Sandbox.open_websocket`."""
        sent = {**self._toolbox.headers_for(url), **(headers or {})}
        return await self._toolbox.transport.open_websocket(url, sent, subprotocols)
