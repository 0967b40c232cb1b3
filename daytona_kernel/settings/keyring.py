"""The person's keyring: the program `keyring`, where it is installed.

It is a separate program, so that a keyring that waits for a person cannot hold up this process for long, and
so that a kernel without one imports nothing. The key travels through pipes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import DaytonaAuthenticationError

_SERVICE = "daytona-kernel"
_SECONDS = 30.0  # a person may have to unlock the keyring


def keep(account: str, secret: str) -> bool:
    """Keep a secret, and return whether a keyring has it now."""
    read.cache_clear()
    if _run("set", account, secret) is None:
        return False
    # A keyring that forgets everything also accepts everything.
    return _run("get", account) == secret


@cache
def read(account: str) -> str:
    """Return a secret. Raises DaytonaAuthenticationError if the keyring does not give it."""
    secret = _run("get", account)
    if not secret:
        raise DaytonaAuthenticationError(
            "Your keyring did not give the API key that `daytona-kernel login` has put there. Unlock the "
            "keyring, or run `daytona-kernel login` again. Then restart the kernel."
        )
    return secret


def remove(account: str) -> None:
    """Remove a secret, if the keyring has it."""
    read.cache_clear()
    _run("del", account)


def _run(action: str, account: str, secret: str | None = None) -> str | None:
    """Run `keyring`, and return what it prints; None if it fails, is slow, or is not installed."""
    command = [sys.executable, "-P", "-m", "keyring"]
    if find_spec("keyring") is None:
        program = shutil.which("keyring")
        if program is None or not Path(program).is_absolute():
            return None
        command = [program]
    try:
        done = subprocess.run(
            [*command, action, _SERVICE, account],
            input=secret or "",
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
