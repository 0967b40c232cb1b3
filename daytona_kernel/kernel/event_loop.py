"""The way from one event loop of this process to another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

T = TypeVar("T")


class EventLoop:
    """An event loop that other threads give work to. Each method may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    @property
    def is_running_here(self) -> bool:
        """Whether the calling thread runs this loop at the moment."""
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on this loop and return the future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def run(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run a coroutine on this loop and await its result on the caller's loop.

        If the caller is canceled, so is the coroutine.
        """
        return await asyncio.wrap_future(self.start(coroutine))

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function on this loop soon, and do not wait for it."""
        self.loop.call_soon_threadsafe(function, *arguments)
