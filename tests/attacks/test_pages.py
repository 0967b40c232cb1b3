"""Pages in a browser on the notebook's machine that open websockets to an agent, also after DNS rebinding."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.interpreter.local import LocalAgent

pytestmark = pytest.mark.kernel


def test_an_agent_answers_no_page() -> None:
    async def attack() -> None:
        agent = await LocalAgent().start()
        try:
            url = f"ws://127.0.0.1:{agent.port}/"
            own = f"http://127.0.0.1:{agent.port}"
            for header in (
                {"Origin": "http://evil.test"},
                {"Origin": "null"},
                {"Origin": ""},
                {"Origin": own},  # as a rebound name sends it
                {"Sec-Fetch-Site": "same-origin"},
                {"Sec-Fetch-Site": "none"},
            ):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url, additional_headers=header, proxy=None)
                assert caught.value.response.status_code == 403, header
            websocket = await agent.open()
            await websocket.close()
        finally:
            await agent.stop()

    asyncio.run(attack())
