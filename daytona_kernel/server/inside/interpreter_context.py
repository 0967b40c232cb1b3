"""The program of an interpreter context. It runs pieces of code one by one, in one namespace.

Its stdin is a socket. Each request and each answer is one line with a JSON object. Output goes to the
descriptors 1 and 2, so that the output of subprocesses arrives too.
"""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import signal
import socket
import sys
import traceback
from typing import Any


def run(code: str, number: int, namespace: dict[str, Any]) -> dict[str, str] | None:
    """Run `code`, the piece with this `number`. Return the exception that it raised, or None."""
    name = f"<cell {number}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(compile(code, name, "exec"), namespace)
    except BaseException as error:  # noqa: BLE001  # also `SystemExit` ends only this piece
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return None
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.format_exception(type(error), error, frames)
        return {"name": type(error).__name__, "value": str(error), "traceback": "".join(lines)}
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    return None


def main() -> None:
    """Serve requests until the server closes the socket."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    namespace = {"__name__": "__main__", "__builtins__": __builtins__}
    sys.path.insert(0, "")
    with channel.makefile("rw", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            request = json.loads(line)
            before = dict(os.environ)
            os.environ.update(request["envs"])
            error = run(request["code"], number, namespace)
            for name in request["envs"]:
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)
            lines.write(json.dumps({"error": error}) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
