"""The kernel's application: its sockets."""

from __future__ import annotations

import threading

import pytest
import zmq

from daytona_kernel.kernel import app as application
from daytona_kernel.kernel.app import DaytonaKernelApp


@pytest.fixture
def app() -> DaytonaKernelApp:
    """An application that has not been started."""
    return DaytonaKernelApp(ip="127.0.0.1", context=zmq.Context())


def test_a_port_that_is_taken_for_a_moment_is_waited_for(app: DaytonaKernelApp) -> None:
    with zmq.Context() as other, app.context:
        taken = other.socket(zmq.ROUTER)
        app.shell_port = taken.bind_to_random_port("tcp://127.0.0.1")
        leaving = threading.Timer(0.3, taken.close)
        leaving.start()
        app._bind("shell", zmq.ROUTER).close()  # a whole kernel would take seconds
        leaving.join()


def test_a_port_that_stays_taken_is_an_error(app: DaytonaKernelApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_TAKEN_SECONDS", 0.1)
    with zmq.Context() as other, app.context, other.socket(zmq.ROUTER) as taken:
        app.shell_port = taken.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(zmq.ZMQError, match="in use"):
            app._bind("shell", zmq.ROUTER)
