"""`%%local`, `%put` and `%get`: code on the notebook's own machine, and variables to and from there.

Off unless the kernel's environment says DAYTONA_KERNEL_LOCAL=1, since a notebook for this kernel
promises that its code stays in a sandbox. Variables go in the forms of `wire.values` only.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError, LocalCodeError, MagicUsageError
from ..wire.values import decode_value, encode_value
from .arguments import Expected, Positional, Signature
from .local_code import LocalCode

if TYPE_CHECKING:
    from .magic_call import MagicCall
    from .registry import Registry

SWITCH = "DAYTONA_KERNEL_LOCAL"


def declare(registry: Registry) -> None:
    """Add `local`, `put` and `get` to a registry."""
    code = LocalCode()

    async def names(_call: MagicCall, _expected: Expected) -> list[str]:
        return [name for name in code.namespace if not name.startswith("_")]

    registry.words("local_name", names)

    @registry.magic("local", Signature(), cell_only=True)
    async def local(call: MagicCall) -> None:
        """Run the cell on the notebook's own machine, in the kernel's process.

        Its variables are apart from the sandbox's: %put and %get copy them. It works only where the
        kernel was started with DAYTONA_KERNEL_LOCAL=1 in its environment.
        """
        _require_enabled()
        if not (call.body or "").strip():
            raise MagicUsageError("There is no code to run: put it below the line %%local.")
        await code.run(call, call.body or "")

    @registry.magic(
        "put",
        Signature((Positional("name", "the variables of %%local", repeated=True, kind="local_name"),)),
    )
    async def put(call: MagicCall, name: list[str]) -> None:
        """Copy variables of %%local into the sandbox: JSON values, bytes, and pandas and Arrow tables."""
        _require_enabled()
        for each in name:
            if each not in code.namespace:
                raise DaytonaError(f"%%local has no variable {each!r}.")
            try:
                encoded = await asyncio.to_thread(encode_value, code.namespace[each])
            except ValueError as error:
                raise DaytonaError(f"{each!r} cannot be copied: {error}.") from None
            await call.put(each, encoded)

    @registry.magic("get", Signature((Positional("name", "the variables of the sandbox", repeated=True),)))
    async def get(call: MagicCall, name: list[str]) -> None:
        """Copy variables of the sandbox to %%local: JSON values, bytes, and pandas and Arrow tables.

        Nothing that a sandbox sends is run here, and nothing is unpickled.
        """
        _require_enabled()
        for each in name:
            code.namespace[each] = await _decoded(each, await call.get(each))


async def _decoded(name: str, encoded: dict[str, Any]) -> Any:
    try:
        return await asyncio.to_thread(decode_value, encoded)
    except (ValueError, TypeError, RecursionError) as error:
        raise DaytonaError(f"{name!r} cannot be copied: {error}.") from None


def _require_enabled() -> None:
    if os.environ.get(SWITCH) != "1":
        raise LocalCodeError(
            "Code on the notebook's own machine is off, so that a notebook stays in its sandbox; "
            f"to allow it, start Jupyter with {SWITCH}=1 in the environment."
        )
