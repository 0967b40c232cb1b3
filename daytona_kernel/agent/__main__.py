"""The command line of the agent: `agent.pyz CONFIGURATION`.

The agent starts its child as `agent.pyz interpreter CONNECTION_FILE PARENT OPTION…`. The configuration is
a JSON file, which the agent deletes when it has read it. It prints JSON lines for the launcher. See
docs/protocol.md for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.agent_configuration import AgentConfiguration
    from .interpreter import InterpreterProcess


def main() -> None:
    """Run the agent, or the interpreter that an agent has started."""
    gc.disable()  # a start makes no garbage, and looking for it takes a tenth of the start
    if sys.argv[1] == "interpreter":
        from . import environment

        environment.use()

        from ..wire.postponed_packages import postpone

        postpone("jupyter_client", write_connection_file="connect", find_connection_file="connect")

        from . import kernel

        kernel.main(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
        return
    file = Path(sys.argv[1])
    text = file.read_text()
    file.unlink()

    from ..wire.agent_configuration import AgentConfiguration
    from ..wire.schema import decode_fields, parse_object
    from . import environment

    configuration = decode_fields(AgentConfiguration, parse_object(text))
    try:
        environment.ensure(report, configuration.wheels)
    except environment.UnusableEnvironmentError as error:
        report(error=str(error), wanted=error.wanted)
        sys.exit(1)

    # The interpreter takes longest to start, so it starts before the agent's own imports.
    from .interpreter import InterpreterProcess, SocketDirectory
    from .temporary import private_directory

    with private_directory() as path:
        directory = SocketDirectory(path)
        magic_socket = directory.socket_path("magics")
        environ = {
            "DAYTONA_MAGIC_SOCKET": magic_socket,
            "DAYTONA_MAGICS": json.dumps(configuration.magics),
        }
        session, options = configuration.message_session, configuration.options
        start = partial(InterpreterProcess, directory, session, environ, options)
        first = start()
        asyncio.run(serve(configuration, start, first, magic_socket))


async def serve(
    configuration: AgentConfiguration,
    start: Callable[[], InterpreterProcess],
    first: InterpreterProcess,
    magic_socket: str,
) -> None:
    """Serve until a signal, or the agent itself, ends the agent. Its interpreter ends with it."""
    from .agent import Agent
    from .server import Server

    agent = Agent(start, first, configuration.options)
    running = asyncio.ensure_future(agent.run())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        magics = await agent.magic_socket.listen(magic_socket)
        report(port=Server(agent, configuration.secret, configuration.link).listen())
        gc.freeze()
        gc.enable()
        with contextlib.suppress(asyncio.CancelledError):
            await running
            await agent.wait_for_acknowledgement()
        magics.close()
    finally:
        agent.close()


def report(**line: object) -> None:
    """Print a line for the launcher, which reads the log of the agent's command."""
    print(json.dumps(line), flush=True)  # noqa: T201  # stdout is the agent's way to the launcher


if __name__ == "__main__":
    main()
