"""A magic call without a kernel: it records everything that a handler sends to its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from daytona_kernel.client.sandbox import AsyncSandbox
    from daytona_kernel.magics.magic_call import MagicCall


class RecordedCall:
    """A magic call for handlers that need no sandbox."""

    def __init__(self, line: str = "", body: str | None = None, *, assigned: bool = False) -> None:
        self.line = line
        self.body = body
        self.assigned = assigned
        self.cwd: str | None = None
        self.environ: dict[str, str] = {}
        self.unset: list[str] = []
        self.printed = {"stdout": "", "stderr": ""}
        self.displayed: list[dict[str, Any]] = []
        self.variables: dict[str, Any] = {}

    @property
    def call(self) -> MagicCall:
        """The call as a handler takes it."""
        return cast("MagicCall", self)

    async def sandbox(self) -> AsyncSandbox:
        raise AssertionError("this handler must not need the sandbox")

    async def print(self, text: str, stream: str = "stdout") -> None:
        self.printed[stream] += text

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.displayed.append(data)

    async def set(self, name: str, value: Any) -> None:
        self.variables[name] = value

    async def put(self, name: str, encoded: dict[str, Any]) -> None:
        self.variables[name] = encoded
