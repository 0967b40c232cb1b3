"""Where sandboxes come from: an account at Daytona, a server of one's own, or the embedded one."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from ..config import DaytonaConfig, Settings, resolve
from . import embedded
from .api import Api, AsyncApi
from .models import CreateSandboxFromSnapshotParams, ListSandboxesQuery
from .operations import sandboxes
from .sandbox import AsyncSandbox, Sandbox
from .transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

_announced = False


class Daytona:
    """The sync client. `AsyncDaytona` has the same methods.

    config: None takes all from the environment: DAYTONA_API_KEY, DAYTONA_API_URL, DAYTONA_TARGET.
        With neither a key nor a URL anywhere, sandboxes are made on this machine by the embedded
        server, which lives as long as this process.
    transport: the way out; None for one with the config's `verify`.

    Raises DaytonaAuthenticationError when there is a URL and no key for it. `close`, or leaving
    `with`, closes connections and leaves sandboxes alone.
    """

    def __init__(self, config: DaytonaConfig | None = None, *, transport: Transport | None = None) -> None:
        self.config = config or DaytonaConfig()
        self.settings = resolve(self.config)
        self._transport = transport or Transport(verify=self.config.verify)
        self._made: Api | None = None
        if self.settings.embedded:
            embedded.start()

    def __repr__(self) -> str:
        return _describe(self, self.settings)

    def __enter__(self) -> Daytona:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._transport.close()

    @property
    def _api(self) -> Api:
        if self._made is None:
            url, headers = _address(self.settings)
            self._made = Api(url, headers, self._transport, self.config.request_timeout)
        return self._made

    def create(
        self, params: CreateSandboxFromSnapshotParams | None = None, *, timeout: float = 60
    ) -> Sandbox:
        """Create a sandbox, and return it when it has started.

        params: what it is to be; None for a Python one as Daytona makes it.
        timeout: seconds to wait for its start; 0 for as long as it takes.

        Raises DaytonaTimeoutError, with `sandbox_id`, when it had not started by then.
        """
        call = sandboxes.create_sandbox(
            params or CreateSandboxFromSnapshotParams(), self.settings.target.value, timeout
        )
        return Sandbox(self._api, self._api.run(call))

    def get(self, sandbox_id_or_name: str) -> Sandbox:
        """Return a sandbox. Raises DaytonaNotFoundError when there is none of this id or name."""
        return Sandbox(self._api, self._api.run(sandboxes.get_sandbox(sandbox_id_or_name)))

    def list(self, query: ListSandboxesQuery | None = None) -> Iterator[Sandbox]:
        """Iterate over the sandboxes that a query matches, None for all; pages are fetched on the way."""
        cursor: str | None = None
        while True:
            call = sandboxes.list_page(query or ListSandboxesQuery(), cursor)
            page, cursor = self._api.run(call)
            for instance in page:
                yield Sandbox(self._api, instance)
            if cursor is None:
                return

    def start(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """As `sandbox.start`."""
        sandbox.start(timeout)

    def stop(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """As `sandbox.stop`."""
        sandbox.stop(timeout)

    def delete(self, sandbox: Sandbox) -> None:
        """As `sandbox.delete`."""
        sandbox.delete()


class AsyncDaytona:
    """The async client; see `Daytona`. It belongs to one event loop."""

    def __init__(
        self, config: DaytonaConfig | None = None, *, transport: AsyncTransport | None = None
    ) -> None:
        self.config = config or DaytonaConfig()
        self.settings = resolve(self.config)
        self._transport = transport or AsyncTransport(verify=self.config.verify)
        self._made: AsyncApi | None = None
        if self.settings.embedded:
            embedded.start()

    def __repr__(self) -> str:
        return _describe(self, self.settings)

    async def __aenter__(self) -> AsyncDaytona:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        await self._transport.aclose()

    async def _api(self) -> AsyncApi:
        if self._made is None:
            # The embedded server may still be starting, and waiting for it would block the loop.
            ask = asyncio.to_thread if self.settings.embedded else _at_once
            url, headers = await ask(_address, self.settings)
            self._made = AsyncApi(url, headers, self._transport, self.config.request_timeout)
        return self._made

    async def create(
        self, params: CreateSandboxFromSnapshotParams | None = None, *, timeout: float = 60
    ) -> AsyncSandbox:
        """As `Daytona.create`."""
        api = await self._api()
        call = sandboxes.create_sandbox(
            params or CreateSandboxFromSnapshotParams(), self.settings.target.value, timeout
        )
        return AsyncSandbox(api, await api.run(call))

    async def get(self, sandbox_id_or_name: str) -> AsyncSandbox:
        """As `Daytona.get`."""
        api = await self._api()
        return AsyncSandbox(api, await api.run(sandboxes.get_sandbox(sandbox_id_or_name)))

    async def list(self, query: ListSandboxesQuery | None = None) -> AsyncIterator[AsyncSandbox]:
        """As `Daytona.list`, for `async for`."""
        api = await self._api()
        cursor: str | None = None
        while True:
            page, cursor = await api.run(sandboxes.list_page(query or ListSandboxesQuery(), cursor))
            for instance in page:
                yield AsyncSandbox(api, instance)
            if cursor is None:
                return

    async def start(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """As `sandbox.start`."""
        await sandbox.start(timeout)

    async def stop(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """As `sandbox.stop`."""
        await sandbox.stop(timeout)

    async def delete(self, sandbox: AsyncSandbox) -> None:
        """As `sandbox.delete`."""
        await sandbox.delete()


def _address(settings: Settings) -> tuple[str, Mapping[str, str]]:
    if settings.api_url.value is not None:
        return settings.api_url.value, settings.authorization
    server = embedded.start()
    url, key = server.ready()
    _announce(server)
    return url, {"Authorization": f"Bearer {key}"}


def _announce(server: embedded.EmbeddedServer) -> None:
    global _announced
    if not _announced:
        _announced = True
        note = f" {server.note}" if server.note else ""
        print(
            "No DAYTONA_API_KEY is set: sandboxes run on this machine, in the embedded server "
            f"(isolation: {server.isolation}).{note}",
            file=sys.stderr,
        )


async def _at_once(function: object, settings: Settings) -> tuple[str, Mapping[str, str]]:
    return _address(settings)


def _describe(client: object, settings: Settings) -> str:
    return f"{type(client).__name__}({settings.api_url.value or 'embedded server'!r})"
