"""Each example of Daytona's Process page, with the sync and the async client."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import AsyncDaytona, Daytona, DaytonaTimeoutError, SessionExecuteRequest

if TYPE_CHECKING:
    from daytona_kernel.client.embedded_server import EmbeddedServer

pytestmark = pytest.mark.anyio

# The name, the code, and a part of the output; None for no output. All examples share a namespace.
EXAMPLES: list[tuple[str, str, str | None]] = [
    (
        "basic command",
        """
workspace = daytona.create()
# Execute a shell command
response = workspace.process.exec("ls -la")
print(response.result)
""",
        "total",
    ),
    (
        "python code",
        """
response = workspace.process.code_run("print('Hello, World!')")
print(response.result)
""",
        "Hello, World!",
    ),
    (
        "interactive session",
        """
session_id = "my-session"
workspace.process.create_session(session_id)

req = SessionExecuteRequest(command="cd /workspace", var_async=False)
workspace.process.execute_session_command(session_id, req)

req = SessionExecuteRequest(command="pwd", var_async=False)
response = workspace.process.execute_session_command(session_id, req)
print(response.result)  # Should print "/workspace"
print(response.output)

workspace.process.delete_session(session_id)
""",
        "/workspace",
    ),
    (
        "exec",
        """
response = workspace.process.exec("echo 'Hello'")
print(response.result)  # Prints: Hello
""",
        "Hello",
    ),
    (
        "exec with cwd",
        """
workspace.process.exec("mkdir -p /workspace/src && touch /workspace/src/a-file")
result = workspace.process.exec("ls", cwd="/workspace/src")
print(result.result)
""",
        "a-file",
    ),
    ("exec with timeout", 'result = workspace.process.exec("sleep 10", timeout=1)', "DaytonaTimeoutError"),
    (
        "code_run",
        """
response = workspace.process.code_run('''
    x = 10
    y = 20
    print(f"Sum: {x + y}")
''')
print(response.result)  # Prints: Sum: 30
""",
        "Sum: 30",
    ),
    (
        "create_session",
        """
session_id = "my-session"
workspace.process.create_session(session_id)
session = workspace.process.get_session(session_id)
# Do work...
workspace.process.delete_session(session_id)
print(session.session_id)
""",
        "my-session",
    ),
    (
        "get_session",
        """
workspace.process.create_session("my-session")
session = workspace.process.get_session("my-session")
for cmd in session.commands:
    print(f"Command: {cmd.command}")
""",
        None,
    ),
    (
        "execute_session_command",
        """
session_id = "my-session"

# Change directory
req = SessionExecuteRequest(command="cd /workspace")
workspace.process.execute_session_command(session_id, req)

# Create a file
req = SessionExecuteRequest(command="echo 'Hello' > test.txt")
workspace.process.execute_session_command(session_id, req)

# Read the file
req = SessionExecuteRequest(command="cat test.txt")
result = workspace.process.execute_session_command(session_id, req)
print(result.output)  # Prints: Hello
""",
        "Hello",
    ),
    (
        "get_session_command",
        """
cmd = workspace.process.get_session_command("my-session", result.cmd_id)
if cmd.exit_code == 0:
    print(f"Command {cmd.command} completed successfully")
""",
        "Command cat test.txt completed successfully",
    ),
    (
        "get_session_command_logs",
        """
# Execute a long-running command asynchronously
req = SessionExecuteRequest(command="sleep 1; echo 'Done'", var_async=True)
response = workspace.process.execute_session_command("my-session", req)

# Wait a bit, then get the logs
import time
time.sleep(2)
logs = workspace.process.get_session_command_logs("my-session", response.command_id)
print(logs)  # Prints: Done
""",
        "Done",
    ),
    (
        "list_sessions",
        """
sessions = workspace.process.list_sessions()
for session in sessions:
    print(f"Session {session.session_id}:")
    print(f"  Commands: {len(session.commands)}")
""",
        "Session my-session:",
    ),
    (
        "delete_session",
        """
workspace.process.create_session("temp-session")
# ... use the session ...
# Clean up when done
workspace.process.delete_session("temp-session")
print([session.session_id for session in workspace.process.list_sessions()])
""",
        "['my-session']",
    ),
]


class _Await(ast.NodeTransformer):
    """Awaits each method of `daytona` and `workspace`, which turns an example into its async form."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return ast.Await(node) if ast.unparse(node.func).startswith(("daytona.", "workspace.")) else node


async def _run(code: str, namespace: dict[str, Any], *, awaited: bool) -> str:
    tree = ast.parse(code)
    if awaited:
        tree = ast.fix_missing_locations(_Await().visit(tree))
    compiled = compile(tree, "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            result = eval(compiled, namespace)  # noqa: S307 -- the examples are in this file
            if inspect.isawaitable(result):
                await result
        except DaytonaTimeoutError as error:
            printed.write(str(type(error).__mro__))
    return printed.getvalue()


async def test_every_example_in_its_sync_form(server: EmbeddedServer) -> None:
    with Daytona() as daytona:
        await run_examples(daytona, awaited=False, has_workspace=server.isolation != "none")


async def test_every_example_in_its_async_form(server: EmbeddedServer) -> None:
    async with AsyncDaytona() as daytona:
        await run_examples(daytona, awaited=True, has_workspace=server.isolation != "none")


async def run_examples(daytona: Any, *, awaited: bool, has_workspace: bool = True) -> None:
    """Run all examples in a new sandbox. has_workspace: whether it has the directory /workspace.

    Without isolation a sandbox has none, so its working directory replaces it.
    """
    namespace = {"daytona": daytona, "SessionExecuteRequest": SessionExecuteRequest}
    directory = "/workspace"
    try:
        for name, code, expected in EXAMPLES:
            adapted = code.replace("/workspace", directory)
            printed = await _run(adapted, namespace, awaited=awaited)
            assert (expected or "").replace("/workspace", directory) in printed, name
            if not has_workspace and name == "basic command":
                found = namespace["workspace"].get_work_dir()
                directory = await found if awaited else found
    finally:
        deleted = namespace["workspace"].delete()
        if awaited:
            await deleted
