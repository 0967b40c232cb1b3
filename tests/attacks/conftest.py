"""The servers and sandboxes that the attacks run against."""

from tests.server.conftest import open_server, open_toolbox, server, session, toolbox

__all__ = ["open_server", "open_toolbox", "server", "session", "toolbox"]
