"""`typing.assert_never`, which Python 3.10 lacks. Sandboxes may have 3.10."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import assert_never as assert_never  # noqa: PLC0414  # passed on
else:

    def assert_never(value: object) -> None:
        """Fail: the type checker has proved that this is never called."""
        raise AssertionError(f"unexpected: {value!r}")
