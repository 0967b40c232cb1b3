"""Methods made of operations: one that blocks for the sync client, one that is awaited for the async client.

A method has the parameters and the docstring of its operation. An operation on a subject gets `self`
as its first argument; a free operation does not. `self._api` drives the exchange.
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


def method(operation: Callable[P, Exchange[T]], name: str | None = None) -> Callable[Concatenate[Any, P], T]:
    """Return the method that carries out a free operation and returns its result.

    name: the method's name; None for the operation's.
    """

    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._api.run(operation(*args, **kwargs))
        return result

    return _dress(run, operation, name, free=True)


def async_method(
    operation: Callable[P, Exchange[T]], name: str | None = None
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that carries out a free operation and returns its result.

    name: the method's name; None for the operation's.
    """

    async def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._api.run(operation(*args, **kwargs))
        return result

    return _dress(run, operation, name, free=True)


def subject_method(operation: Callable[Concatenate[Any, P], Exchange[T]]) -> Callable[Concatenate[Any, P], T]:
    """Return the method that carries out an operation on its object and returns the result."""

    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._api.run(operation(self, *args, **kwargs))
        return result

    return _dress(run, operation, None, free=False)


def async_subject_method(
    operation: Callable[Concatenate[Any, P], Exchange[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that carries out an operation on its object and returns the result."""

    async def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._api.run(operation(self, *args, **kwargs))
        return result

    return _dress(run, operation, None, free=False)


def _dress(run: F, operation: Callable[..., Exchange[Any]], name: str | None, *, free: bool) -> F:
    """Give a method the name, the docstring and the signature of its operation."""
    signature = inspect.signature(operation)
    parameters = list(signature.parameters.values())
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    result = str(signature.return_annotation).removeprefix("Exchange[").removesuffix("]")
    run.__name__ = run.__qualname__ = name or operation.__name__
    run.__module__ = operation.__module__
    run.__doc__ = operation.__doc__
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[self, *parameters[0 if free else 1 :]], return_annotation=result
    )
    return run
