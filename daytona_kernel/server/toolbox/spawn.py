"""The type of `Sandbox.spawn`, for the parts of a sandbox that only start children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..box.child import Child


class Spawn(Protocol):
    """A function that starts a child in a sandbox."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdio: Sequence[int] = (),
        terminal: tuple[int, int] | None = None,
    ) -> Child:
        """Start `argv` with `env` on top of the sandbox's own environment.

        `cwd` is relative to the working directory, which is also the default. `stdio` are the descriptors
        of stdin, stdout and stderr; instead of them, `terminal` gives the rows and columns of a new terminal.

        Raises `OSError` if the program or the directory does not exist, and `ApiError` 400 if the sandbox
        has stopped.
        """
