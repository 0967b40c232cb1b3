"""The program of an interpreter context: runs code sent to it, one piece after the other, in one namespace.

Its descriptor 0 is a socket, one JSON object a line each way; output goes to descriptors 1 and 2,
so that a subprocess's is captured too. Only the standard library is used.
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
    """Run `code` and return what it raised, or None."""
    name = f"<cell {number}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(compile(code, name, "exec"), namespace)
    except BaseException as error:
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
