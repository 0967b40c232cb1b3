"""A call becomes a method, once that waits and once that is awaited.

The call's parameters and docstring are the method's. A call on a subject gets `self` as its first
argument; a free call knows nothing of it. `self._api` is the driver.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from .exchange import Exchange

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def method(call: Callable[P, Exchange[T]], name: str | None = None) -> Callable[Concatenate[Any, P], T]:
    """Return the method that carries out a free call and returns its result.

    name: the method's, where it is not the call's.
    """

    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._api.run(call(*args, **kwargs))
        return result

    return _dress(run, call, name, free=True)


def async_method(
    call: Callable[P, Exchange[T]], name: str | None = None
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that carries out a free call and returns its result."""

    async def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._api.run(call(*args, **kwargs))
        return result

    return _dress(run, call, name, free=True)


def subject_method(call: Callable[Concatenate[Any, P], Exchange[T]]) -> Callable[Concatenate[Any, P], T]:
    """Return the method that carries out a call on its object and returns its result."""

    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._api.run(call(self, *args, **kwargs))
        return result

    return _dress(run, call, None, free=False)


def async_subject_method(
    call: Callable[Concatenate[Any, P], Exchange[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that carries out a call on its object and returns its result."""

    async def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._api.run(call(self, *args, **kwargs))
        return result

    return _dress(run, call, None, free=False)


def _dress(run: F, call: Callable[..., Exchange[Any]], name: str | None, *, free: bool) -> F:
    """Give a method the name, the docstring and the signature of its call."""
    signature = inspect.signature(call)
    parameters = list(signature.parameters.values())
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    result = str(signature.return_annotation).removeprefix("Exchange[").removesuffix("]")
    run.__name__ = run.__qualname__ = name or call.__name__
    run.__module__ = call.__module__
    run.__doc__ = call.__doc__
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[self, *parameters[0 if free else 1 :]], return_annotation=result
    )
    return run
