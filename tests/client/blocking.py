"""The async client with the methods of the sync client, so that one test covers both."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal

_WRAPPED = ("AsyncDaytona", "AsyncSandbox", "AsyncProcess", "AsyncFileSystem", "AsyncLogFollower")


class Blocking:
    """An async object with methods that block."""

    def __init__(self, wrapped: Any, portal: BlockingPortal) -> None:
        self._wrapped = wrapped
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        if not inspect.ismethod(value):
            return self.wrap(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            plain = [arg._wrapped if isinstance(arg, Blocking) else arg for arg in args]

            async def run() -> Any:
                result = value(*plain, **kwargs)
                return await result if inspect.isawaitable(result) else result

            return self.wrap(self._portal.call(run))

        return call

    def __iter__(self) -> Iterator[Any]:
        iterator = self._wrapped.__aiter__()

        async def advance() -> tuple[bool, Any]:
            try:
                return True, await anext(iterator)
            except StopAsyncIteration:
                return False, None

        while (step := self._portal.call(advance))[0]:
            yield self.wrap(step[1])

    def close(self) -> None:
        self._portal.call(self._wrapped.aclose)

    def wrap(self, value: Any) -> Any:
        """Return a value of the client, with methods that block if it has async ones."""
        if type(value).__name__ in _WRAPPED or inspect.isasyncgen(value):
            return Blocking(value, self._portal)
        return value
