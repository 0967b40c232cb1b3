"""The search for warnings in what a process prints."""

from tests.child_warnings import warnings_in

OURS = "/a/daytona_kernel/kernel/app.py:7: DeprecationWarning: use something newer"
UNCLOSED = "/usr/lib/python3.11/asyncio/events.py:80: ResourceWarning: unclosed <socket.socket fd=7>"
THEIRS = "/a/site-packages/zmq/loop.py:9: DeprecationWarning: use something newer"


def test_warnings_about_this_projects_code_are_found() -> None:
    assert warnings_in(f"Hello\n{OURS}\n  code\n{UNCLOSED}\n{THEIRS}\n") == [OURS, UNCLOSED]
    assert warnings_in("[app] WARNING | Kernel is running over TCP without encryption.") == []
