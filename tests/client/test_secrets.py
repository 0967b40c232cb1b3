"""Secrets of an account, as the client asks a server for them that follows a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from daytona_kernel import AsyncDaytona, DaytonaConfig, DaytonaNotFoundError
from daytona_kernel.client.models.sandboxes import CreateSandboxFromSnapshotParams
from daytona_kernel.client.models.secrets import AccountSecret
from daytona_kernel.errors import DaytonaError
from daytona_kernel.magics.kept_secrets import KeptSecrets
from daytona_kernel.magics.secret import SecretMagic
from tests.magics.recorded_call import RecordedCall

from .conftest import KEY
from .faulty_server import FaultyServer, reply

if TYPE_CHECKING:
    from collections.abc import Callable


def secret(name: str) -> dict[str, Any]:
    return {
        "id": f"id of {name}",
        "name": name,
        "placeholder": f"dtn_secret_{name}",
        "hosts": ["api.example.org"],
        "createdAt": "2026-01-31T12:00:00Z",
        "updatedAt": "2026-01-31T12:00:00Z",
    }


@pytest.fixture
def account(faulty: FaultyServer) -> FaultyServer:
    """A server with a sandbox and two pages of secrets."""
    started = {"id": "i", "name": "n", "state": "started", "labels": {}, "toolboxProxyUrl": f"{faulty.url}/t"}
    faulty.on("POST", "/sandbox", reply(200, started))
    faulty.on("GET", "/sandbox/i", reply(200, started))
    faulty.on("PUT", "/sandbox/i/secrets", reply(200, started))
    pages = [
        {"items": [secret("token-old")], "total": 2, "nextCursor": "next"},
        {"items": [secret("token")], "total": 2, "nextCursor": None},
    ]
    faulty.on("GET", "/secret/paginated", *(reply(200, page) for page in pages))
    return faulty


def config(server: FaultyServer) -> DaytonaConfig:
    return DaytonaConfig(api_key=KEY, api_url=server.url)


def test_a_secret_is_found_by_its_whole_name(connect: Callable[..., Any], account: FaultyServer) -> None:
    daytona = connect(config(account))
    assert daytona.get_secret("token") == AccountSecret("token", "dtn_secret_token", ("api.example.org",))
    queries = [each.query for each in account.requests]
    assert queries == [
        {"name": "token", "limit": "200"},
        {"name": "token", "limit": "200", "cursor": "next"},
    ]
    with pytest.raises(DaytonaNotFoundError, match="no secret 'other'"):
        daytona.get_secret("other")


def test_sandboxes_get_secrets_by_variable(connect: Callable[..., Any], account: FaultyServer) -> None:
    sandbox = connect(config(account)).create(CreateSandboxFromSnapshotParams(secrets={"A": "a", "B": "b"}))
    sandbox.update_secrets({"TOKEN": "token"})
    created = next(each for each in account.requests if each.method == "POST")
    assert created.json["secrets"] == [{"A": "a"}, {"B": "b"}]
    assert account.requests[-1].json == {"secrets": [{"TOKEN": "token"}]}


class AccountCall(RecordedCall):
    """A call of a kernel with a sandbox at the server."""

    def __init__(self, daytona: AsyncDaytona, *, owned: bool = True) -> None:
        super().__init__()
        self.daytona = daytona
        self.owned = owned
        self.secrets = KeptSecrets()
        self.given: dict[str, str] = {}

    @property
    def kernel_sandbox(self) -> Any:
        return self

    async def sandbox(self) -> Any:
        return await self.daytona.get("i")

    async def set_environment(self, variables: Any) -> None:
        self.given = dict(variables)

    async def run(self, **options: Any) -> None:
        given: dict[str, Any] = {"name": "TOKEN", "from_env": False, "account": None, "forget": False}
        await SecretMagic().secret(cast("Any", self), **{**given, **options})


def test_a_variable_stands_for_a_secret_of_the_account(account: FaultyServer) -> None:
    async def work() -> None:
        async with AsyncDaytona(config(account)) as daytona:
            call = AccountCall(daytona)
            await call.run(account="token")
            assert call.given == {"TOKEN": "dtn_secret_token"}
            assert (
                "stands for the secret token of the account in requests to api.example.org"
                in (call.printed["stdout"])
            )
            assert call.secrets.of_account == {"TOKEN": "token"}
            await call.run(name="MORE", account="token")
            assert account.requests[-1].json == {"secrets": [{"TOKEN": "token"}, {"MORE": "token"}]}
            await call.run(forget=True)
            assert account.requests[-1].json == {"secrets": [{"MORE": "token"}]}
            assert call.given == {"MORE": "dtn_secret_token"}
            with pytest.raises(DaytonaNotFoundError, match=r"no secret 'none'\. Nothing was changed"):
                await call.run(account="none")
            with pytest.raises(DaytonaError, match="may have others"):
                await AccountCall(daytona, owned=False).run(account="token")

    asyncio.run(work())
