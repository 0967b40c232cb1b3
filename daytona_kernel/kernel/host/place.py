"""Where the kernel's sandboxes are: at Daytona, or in the embedded server of this process."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...client import embedded
from ...client.daytona import AsyncDaytona
from ...client.embedded_server import ENDED
from ...errors import DaytonaConnectionTimeoutError, DaytonaError
from ...wire.conventions import ISOLATION_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...client.embedded_server import EmbeddedServer

# A server that was roused and is silent again within this time is killed.
_ROUSED_SECONDS = 600.0


class Place:
    """The client, and the embedded server that it talks to, if it does. It belongs to the API thread's loop.

    `str` of it is for a person: "" before the first use of the client.
    """

    def __init__(self) -> None:
        self._daytona: AsyncDaytona | None = None
        self._warned = False
        self._roused: float | None = None

    def __str__(self) -> str:
        if self._daytona is None:
            return ""
        if not self._daytona.settings.embedded:
            return f"at {self._daytona.settings.api_url.shown}"
        isolation = f" (isolation: {self.server.isolation})" if self.server and self.server.isolation else ""
        return f"on this machine, in the embedded server{isolation}"

    @property
    def daytona(self) -> AsyncDaytona:
        """The client. Raises DaytonaAuthenticationError if the settings are incomplete."""
        self._daytona = self._daytona or AsyncDaytona()
        return self._daytona

    @property
    def server(self) -> EmbeddedServer | None:
        """The embedded server; None at Daytona, and before the first use of the client."""
        is_embedded = self._daytona is not None and self._daytona.settings.embedded
        return embedded.current() if is_embedded else None

    @property
    def note(self) -> str:
        """A warning about the isolation of sandboxes here; "" if there is none, or none is known yet."""
        return self.server.note if self.server is not None else ""

    @property
    def bounds(self) -> str:
        """How much of this machine a sandbox here can use; "" at Daytona, and if it is not known yet."""
        return self.server.bounds if self.server is not None else ""

    def take_warning(self) -> str:
        """Return the warning for the first cell about the isolation of sandboxes here; then none any more."""
        warning = self.server.warning if self.server is not None and not self._warned else ""
        self._warned = self._warned or bool(warning)
        return warning

    @staticmethod
    def give_up_isolation() -> None:
        """Let the next embedded server of this kernel run without isolation, because the person agrees."""
        os.environ[ISOLATION_VARIABLE] = "none"

    def server_end(self) -> str | None:
        """Return a sentence about the end of the embedded server; None while it runs, or at Daytona."""
        if self.server is None or self.server.alive():
            return None
        return ENDED

    def rouse_server(self) -> str | None:
        """Rouse an embedded server that does not answer, or kill it when that did not help.

        Returns a sentence about its end; None while it runs, or at Daytona.
        """
        if self.server is None or not self.server.alive():
            return self.server_end()
        now = time.monotonic()
        if self._roused is None or now - self._roused > _ROUSED_SECONDS:
            self._roused = now
            self.server.rouse()
            return None
        self.server.kill()
        return "The embedded server did not answer and was ended, and with it the sandbox and its files."

    @contextmanager
    def rousing_server(self) -> Iterator[None]:
        """Rouse or kill an embedded server that does not answer a request of the block.

        Raises DaytonaConnectionTimeoutError, as the request does, or DaytonaError if the server was killed.
        """
        try:
            yield
        except DaytonaConnectionTimeoutError:
            if (ended := self.rouse_server()) is None:
                raise
            raise DaytonaError(f"{ended} The next cell gets a new sandbox.") from None

    async def close(self) -> None:
        """Close the client. The next use makes another one, and another embedded server if this one ended."""
        daytona, self._daytona = self._daytona, None
        if daytona is not None:
            await daytona.aclose()
