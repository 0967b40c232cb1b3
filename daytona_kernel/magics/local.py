"""`%%local`, `%put` and `%get`: code on the notebook's own machine, and variables to and from there.

These magics are off unless the kernel's environment has DAYTONA_KERNEL_LOCAL=1, because readers of a
notebook for this kernel expect its code to stay in a sandbox. Variables travel only in the forms of
`wire.values`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError, LocalCodeError, MagicUsageError
from ..settings.resolution import value
from ..settings.table import TABLE
from ..wire.values import decode_value, encode_value
from .local_code import LocalCode
from .magic import cell_magic, completes, magic
from .reach import Reach
from .signature import Positional, Signature

if TYPE_CHECKING:
    from ..wire.values import EncodedValue
    from .arguments import Expected
    from .magic_call import MagicCall

_VARIABLE = TABLE["local"].variable


class LocalMagics:
    """`%%local`, `%put` and `%get`, which share one namespace."""

    def __init__(self) -> None:
        self._code = LocalCode()

    @cell_magic("local", Signature(), Reach.LOCAL_CODE)
    async def local(self, call: MagicCall) -> None:
        """Run the cell on the notebook's own machine, in the kernel's process.

        Its variables are separate from the sandbox's; %put and %get copy them. This works only if the
        kernel was started with DAYTONA_KERNEL_LOCAL=1 in its environment.
        """
        _require_enabled()
        if not (call.body or "").strip():
            raise MagicUsageError("There is no code to run: put it below the line %%local.")
        await self._code.run(call, call.body or "")

    @magic(
        "put",
        Signature((Positional("name", "the variables of %%local", repeated=True, kind="local_name"),)),
        Reach.VARIABLES,
    )
    async def put(self, call: MagicCall, name: list[str]) -> None:
        """Copy variables of %%local into the sandbox: JSON values, bytes, and pandas and Arrow tables."""
        _require_enabled()
        for each in name:
            if each not in self._code.namespace:
                raise DaytonaError(f"%%local has no variable {each!r}.")
            try:
                encoded = await asyncio.to_thread(encode_value, self._code.namespace[each])
            except ValueError as error:
                raise _cannot_copy(each, error) from None
            await call.put(each, encoded)

    @magic(
        "get",
        Signature((Positional("name", "the variables of the sandbox", repeated=True),)),
        Reach.VARIABLES,
    )
    async def get(self, call: MagicCall, name: list[str]) -> None:
        """Copy variables of the sandbox to %%local: JSON values, bytes, and pandas and Arrow tables.

        Data from a sandbox is never run or unpickled on this machine.
        """
        _require_enabled()
        for each in name:
            self._code.namespace[each] = await _decode(each, await call.get(each))

    @completes("local_name", Reach.VARIABLES)
    async def names(self, _call: MagicCall, _expected: Expected) -> list[str]:
        """Return the names of the variables of %%local."""
        return [name for name in self._code.namespace if not name.startswith("_")]


async def _decode(name: str, encoded: EncodedValue) -> Any:
    try:
        return await asyncio.to_thread(decode_value, encoded)
    except (ValueError, TypeError, RecursionError) as error:
        raise _cannot_copy(name, error) from None


def _cannot_copy(name: str, reason: Exception) -> DaytonaError:
    return DaytonaError(f"{name!r} cannot be copied: {reason}.")


def _require_enabled() -> None:
    if not value("local"):
        raise LocalCodeError(
            "Code may not run on the notebook's own machine; nothing was done. "
            f"To allow it, start Jupyter with {_VARIABLE}=1 in its environment."
        )
