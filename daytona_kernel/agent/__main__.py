"""`python agent.pyz CONFIGURATION`, and `… interpreter CONNECTION_FILE PARENT` for its own child.

The configuration is a JSON file, removed as soon as it was read:
`{"secret", "link", "message_session", "magics": [name, …]}`.
What the launcher must know is printed as JSON lines: `{"progress": …}`, `{"port": …}`, `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Run the agent, or the interpreter that an agent has started."""
    if sys.argv[1] == "interpreter":
        from . import environment, kernel

        environment.use()
        kernel.main(sys.argv[2], int(sys.argv[3]))
        return
    configuration = Path(sys.argv[1])
    settings = json.loads(configuration.read_text())
    configuration.unlink()

    from . import environment

    try:
        environment.ensure(report)
    except environment.EnvironmentUnusable as error:
        report(error=str(error))
        sys.exit(1)

    # The interpreter takes longest to start: it begins before the agent imports what it needs.
    from .interpreter import InterpreterProcess

    magic_socket = Path(environment.private_directory()) / f"magic-{settings['link'][:8]}"

    def start_interpreter() -> InterpreterProcess:
        return InterpreterProcess(
            settings["message_session"],
            {
                "DAYTONA_MAGIC_SOCKET": str(magic_socket),
                "DAYTONA_MAGIC_NAMES": " ".join(settings["magics"]),
            },
        )

    first = start_interpreter()

    import asyncio

    asyncio.run(serve(settings, start_interpreter, first, magic_socket))


async def serve(settings: dict, start_interpreter, first, magic_socket: Path) -> None:
    """Serve until a signal ends the agent, and end the interpreter with it."""
    import asyncio
    import signal

    from .agent import Agent
    from .server import Server

    agent = Agent(start_interpreter, first)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        report(port=Server(agent, settings["secret"], settings["link"]).listen())
        magics = await agent.serve_magics(magic_socket)
        running = asyncio.ensure_future(agent.run())
        await stopped.wait()
        running.cancel()
        magics.close()
    finally:
        agent.close()
        magic_socket.unlink(missing_ok=True)


def report(**line: object) -> None:
    """Tell the launcher, which reads the log of the agent's command."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
