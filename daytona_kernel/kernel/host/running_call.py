"""A magic call of the interpreter while it runs, and the report of its end to the cell that waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...errors import DaytonaError, LocalCodeError
from ...wire.magic_messages import Outcome, Raised

if TYPE_CHECKING:
    from .cell_channel import CellChannel

INTERRUPTED = Raised("KeyboardInterrupt", "", None)

_log = logging.getLogger(__name__)


class RunningCall:
    """A magic call of the interpreter. work: what the magic does."""

    def __init__(self, name: str, channel: CellChannel, work: asyncio.Task[Outcome]) -> None:
        self.name = name
        self.channel = channel
        self.work = work

    async def report(self) -> None:
        """Tell the cell how the work ended. The work itself cannot: it may be canceled before it starts."""
        outcome: Outcome = INTERRUPTED
        try:
            outcome = await self.work
        except asyncio.CancelledError:
            pass
        except DaytonaError as error:
            outcome = _described(error)
        except Exception as error:  # noqa: BLE001 - a defect of the kernel must not leave the cell waiting
            outcome = Raised(type(error).__name__, f"{self.name}: {error}", None)
            _log.exception("%s failed", ascii(self.name))
        finally:
            await self.channel.end(outcome)


def _described(error: DaytonaError) -> Raised:
    if isinstance(error, LocalCodeError):
        return Raised(error.ename, str(error), None if error.traceback is None else tuple(error.traceback))
    return Raised(type(error).__name__, str(error), None)
