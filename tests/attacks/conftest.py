"""The servers and sandboxes that the attacks run against."""

from hypothesis import settings

from tests.server.conftest import open_server, open_toolbox, server, session, toolbox

__all__ = ["open_server", "open_toolbox", "server", "session", "toolbox"]

settings.register_profile("thorough", max_examples=5_000, deadline=None)
