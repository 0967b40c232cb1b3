"""The clients of Daytona's control plane, which may be Daytona's, another server or the embedded one."""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from typing import TYPE_CHECKING

from ..config import DaytonaConfig, Settings, resolve
from . import embedded
from .api import Api, AsyncApi
from .models.sandboxes import CreateSandboxFromSnapshotParams, ListSandboxesQuery
from .operations import sandboxes, secrets
from .sandbox import AsyncSandbox, Sandbox
from .transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import Self

    from .models.secrets import AccountSecret


class Daytona:
    """The sync client. `AsyncDaytona` has the same methods.

    config: None reads the settings from the environment: DAYTONA_API_KEY, DAYTONA_API_URL,
        DAYTONA_TARGET. If neither a key nor a URL is set, the embedded server creates sandboxes on
        this machine. It runs as long as this process.
    transport: None for one with the config's `verify`.

    Raises DaytonaAuthenticationError if a URL is set without a key. `close`, or the end of `with`,
    closes connections; the sandboxes keep running.
    """

    def __init__(self, config: DaytonaConfig | None = None, *, transport: Transport | None = None) -> None:
        self.config = config or DaytonaConfig()
        self.settings = resolve(self.config)
        self._transport = transport or Transport(verify=self.config.verify)
        self._connected: Api | None = None
        if self.settings.embedded:
            embedded.start()

    def __repr__(self) -> str:
        return _describe(self, self.settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    @property
    def _api(self) -> Api:
        if self._connected is None:
            url, headers = _address(self.settings)
            self._connected = Api(url, headers, self._transport, self.config.request_timeout)
        return self._connected

    def create(
        self, params: CreateSandboxFromSnapshotParams | None = None, *, timeout: float = 60
    ) -> Sandbox:
        """Create a sandbox and return it when it has started.

        params: the sandbox's properties; None for a Python sandbox with Daytona's defaults.
        timeout: seconds to wait for the start; 0 waits as long as it takes.

        Raises DaytonaTimeoutError if the sandbox has not started by then. After the creation, the error's
        `sandbox_id` names the sandbox.
        """
        exchange = sandboxes.create_sandbox(
            params or CreateSandboxFromSnapshotParams(), self.settings.target.value, timeout
        )
        return Sandbox(self._api, self._api.run(exchange))

    def get(self, sandbox_id_or_name: str) -> Sandbox:
        """Return a sandbox. Raises DaytonaNotFoundError if none has this id or name."""
        return Sandbox(self._api, self._api.run(sandboxes.get_sandbox(sandbox_id_or_name)))

    def list(self, query: ListSandboxesQuery | None = None) -> Iterator[Sandbox]:
        """Iterate over the sandboxes that match a query; None matches all. Pages are fetched as needed."""
        cursor: str | None = None
        while True:
            page, cursor = self._api.run(sandboxes.list_page(query or ListSandboxesQuery(), cursor))
            for instance in page:
                yield Sandbox(self._api, instance)
            if cursor is None:
                return

    def get_secret(self, name: str) -> AccountSecret:
        """Return a secret of the account by its name; never its value.

        Raises DaytonaNotFoundError if there is none, or if the server has no secrets at all.
        """
        return self._api.run(secrets.get_secret(name))

    def start(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """See `Sandbox.start`."""
        sandbox.start(timeout)

    def stop(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """See `Sandbox.stop`."""
        sandbox.stop(timeout)

    def delete(self, sandbox: Sandbox) -> None:
        """See `Sandbox.delete`."""
        sandbox.delete()


class AsyncDaytona:
    """The async client; see `Daytona`. A client belongs to one event loop."""

    def __init__(
        self, config: DaytonaConfig | None = None, *, transport: AsyncTransport | None = None
    ) -> None:
        self.config = config or DaytonaConfig()
        self.settings = resolve(self.config)
        self._transport = transport or AsyncTransport(verify=self.config.verify)
        self._connected: AsyncApi | None = None
        if self.settings.embedded:
            embedded.start()

    def __repr__(self) -> str:
        return _describe(self, self.settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._transport.aclose()

    async def _api(self) -> AsyncApi:
        if self._connected is None:
            if self.settings.embedded:
                # The server may still be starting, and waiting for it would block the loop.
                url, headers = await asyncio.to_thread(_address, self.settings)
            else:
                url, headers = _address(self.settings)
            self._connected = AsyncApi(url, headers, self._transport, self.config.request_timeout)
        return self._connected

    async def create(
        self, params: CreateSandboxFromSnapshotParams | None = None, *, timeout: float = 60
    ) -> AsyncSandbox:
        """See `Daytona.create`."""
        api = await self._api()
        exchange = sandboxes.create_sandbox(
            params or CreateSandboxFromSnapshotParams(), self.settings.target.value, timeout
        )
        return AsyncSandbox(api, await api.run(exchange))

    async def get(self, sandbox_id_or_name: str) -> AsyncSandbox:
        """See `Daytona.get`."""
        api = await self._api()
        return AsyncSandbox(api, await api.run(sandboxes.get_sandbox(sandbox_id_or_name)))

    async def list(self, query: ListSandboxesQuery | None = None) -> AsyncIterator[AsyncSandbox]:
        """Return an async iterator; see `Daytona.list`."""
        api = await self._api()
        cursor: str | None = None
        while True:
            page, cursor = await api.run(sandboxes.list_page(query or ListSandboxesQuery(), cursor))
            for instance in page:
                yield AsyncSandbox(api, instance)
            if cursor is None:
                return

    async def get_secret(self, name: str) -> AccountSecret:
        """See `Daytona.get_secret`."""
        return await (await self._api()).run(secrets.get_secret(name))

    async def start(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """See `Sandbox.start`."""
        await sandbox.start(timeout)

    async def stop(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """See `Sandbox.stop`."""
        await sandbox.stop(timeout)

    async def delete(self, sandbox: AsyncSandbox) -> None:
        """See `Sandbox.delete`."""
        await sandbox.delete()


def _address(settings: Settings) -> tuple[str, Mapping[str, str]]:
    if settings.api_url.value is not None:
        return settings.api_url.value, settings.authorization
    server = embedded.start()
    url, key = server.ready()
    _announce()
    return url, {"Authorization": f"Bearer {key}"}


@cache
def _announce() -> None:
    """Say once in each process that the embedded server is used."""
    server = embedded.start()
    note = f" {server.note}" if server.note else ""
    sys.stderr.write(
        "No DAYTONA_API_KEY is set: sandboxes run on this machine, in the embedded server "
        f"(isolation: {server.isolation}).{note}\n"
    )


def _describe(client: object, settings: Settings) -> str:
    address = "embedded server" if settings.embedded else settings.api_url.shown
    return f"{type(client).__name__}({address!r})"
