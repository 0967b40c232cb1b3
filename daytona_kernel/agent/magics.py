"""The sandbox's half of a kernel magic: an IPython magic that asks the kernel and shows its answer.

The request is published among the outputs, so that what the cell printed before is shown before
it; the answer comes back over a unix socket of the agent, one connection a call, so that calls
from several threads cannot take each other's answers. Events are JSON lines:

    {"stream": "stdout", "text": …}         printed here, in the cell that asked
    {"display": {data}, "metadata": {}}     displayed here
    {"set": {name: value}}                  put into the user's namespace
    {"result": value}                       the end; lists become IPython's SList
    {"error": {"ename", "evalue"}}          the end; raised here, without a traceback of ours
"""

from __future__ import annotations

import json
import os
import socket
import sys
import uuid
from typing import Any


class MagicError(Exception):
    """A magic failed. Shown as one line: the frames between cell and kernel help nobody."""

    def _render_traceback_(self) -> list[str]:
        return [f"\x1b[0;31m{type(self).__name__}\x1b[0m: {self}"]


def register(shell: Any, socket_path: str, names: list[str]) -> None:
    """Make each name a line and cell magic of this shell."""

    def magic(name: str) -> None:
        def call(line: str, cell: str | None = None) -> Any:
            return _call(shell, socket_path, name, line, cell)

        call.__name__ = name
        shell.register_magic_function(call, "line_cell", name)

    for name in names:
        magic(name)


def _call(shell: Any, socket_path: str, name: str, line: str, cell: str | None) -> Any:
    kernel = shell.kernel
    call_id = uuid.uuid4().hex
    sys.stdout.flush()
    sys.stderr.flush()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_path)
        answers = connection.makefile("r", encoding="utf-8")
        connection.sendall(call_id.encode() + b"\n")
        answers.readline()  # the agent knows the call: its answer cannot come too early
        kernel.session.send(
            kernel.iopub_socket,
            "daytona_magic",
            {"id": call_id, "name": name, "line": line, "cell": cell, "cwd": os.getcwd()},
            parent=kernel.get_parent(),
        )
        for answer in answers:
            event = json.loads(answer)
            if "result" in event:
                return _value(event["result"])
            _apply(shell, event)
    raise MagicError("the kernel went away before the answer came; the interpreter's state is kept")


def _apply(shell: Any, event: dict[str, Any]) -> None:
    if "stream" in event:
        stream = getattr(sys, event["stream"])
        stream.write(event["text"])
        stream.flush()
    elif "display" in event:
        from IPython.display import publish_display_data

        publish_display_data(event["display"], event.get("metadata"))
    elif "set" in event:
        shell.user_ns.update(event["set"])
    elif "error" in event:
        error = event["error"]
        raise type(error["ename"], (MagicError,), {"__module__": __name__})(error["evalue"])


def _value(value: Any) -> Any:
    if isinstance(value, list):
        from IPython.utils.text import SList

        return SList(value)
    return value
