"""`%sandbox`: the sandbox that the kernel lives in, and others that it can move to."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from ..client.models import CreateSandboxParams, Resources
from ..errors import DaytonaNotFoundError, MagicUsageError
from ..formatting import format_duration
from .arguments import Expected, Option, Positional, Signature
from .table import table
from .timing import ticking

if TYPE_CHECKING:
    from ..client.sandbox import AsyncSandbox
    from .magic_call import MagicCall
    from .registry import Registry

_FRESH = "The interpreter starts afresh there, without your variables."

HELP = """Show and change the sandbox that the cells run in."""


def declare(registry: Registry) -> None:
    """Add `sandbox` to a registry."""
    subcommand = registry.group("sandbox", HELP, default="info")
    registry.words("sandbox", _sandbox_ids)

    @subcommand("info", Signature())
    async def info(call: MagicCall) -> None:
        """Show the sandbox: its state, size, and what becomes of it."""
        sandbox = await call.sandbox()
        await sandbox.refresh_data()
        await call.display(table(("", ""), rows_of(call, sandbox), code=(1,)))

    @subcommand("list", Signature())
    async def list_(call: MagicCall) -> None:
        """List all sandboxes of the account; a star marks this kernel's."""
        current = await call.sandbox()
        rows = []
        async for each in call.kernel_sandbox.daytona.list():
            star = "*" if each.id == current.id else ""
            age = age_of(each)
            rows.append((star, each.name, each.id, each.state, each.language, f"{age} ago" if age else ""))
        await call.display(table(("", "Name", "Id", "State", "Language", "Created"), rows, code=(1, 2)))

    @subcommand(
        "new",
        Signature(
            options=(
                Option("name", "its name", "NAME"),
                Option("snapshot", "the snapshot that it is made from", "SNAPSHOT"),
                Option("language", "what %%code_run runs in it", "LANGUAGE"),
                Option("cpu", "a number of cores", "N", int),
                Option("memory", "a number of GiB", "N", int),
                Option("disk", "a number of GiB", "N", int),
            )
        ),
    )
    async def new(
        call: MagicCall,
        name: str | None,
        snapshot: str | None,
        language: str | None,
        cpu: int | None,
        memory: int | None,
        disk: int | None,
    ) -> None:
        """Make a new sandbox and move there; the old one is deleted if it was the kernel's own."""
        call.require_own_cell()
        resources = Resources(cpu=cpu, memory=memory, disk=disk) if cpu or memory or disk else None
        params = CreateSandboxParams(name=name, snapshot=snapshot, language=language, resources=resources)
        async with ticking(call, "Creating a sandbox for"):
            sandbox = await call.kernel_sandbox.create(params)
        await _move(call, sandbox, owned=True)

    @subcommand("attach", Signature((Positional("id", "the sandbox's id or name", kind="sandbox"),)))
    async def attach(call: MagicCall, id: str) -> None:
        """Move to a sandbox that is there already, which the kernel then never deletes."""
        call.require_own_cell()
        try:
            sandbox = await call.kernel_sandbox.daytona.get(id)
        except DaytonaNotFoundError:
            raise DaytonaNotFoundError(f"There is no sandbox {id!r}; %sandbox list shows them.") from None
        if sandbox.id == (await call.sandbox()).id:
            raise MagicUsageError(f"The cells run in sandbox {sandbox.name} already.")
        if sandbox.state != "started":
            async with ticking(call, f"Starting sandbox {sandbox.name} for"):
                await sandbox.start()
        await _move(call, sandbox, owned=False)

    @subcommand("start", Signature())
    async def start(call: MagicCall) -> None:
        """Start the sandbox after it has stopped; the next cell does so too."""
        sandbox = await call.sandbox()
        await sandbox.refresh_data()
        if sandbox.state == "started":
            await call.print(f"Sandbox {sandbox.name} runs.\n")
            return
        async with ticking(call, f"Starting sandbox {sandbox.name} for"):
            await sandbox.start()
        await call.print(f"Started sandbox {sandbox.name}.\n")

    @subcommand("stop", Signature())
    async def stop(call: MagicCall) -> None:
        """Stop the sandbox: its files stay, variables and commands end. The next cell starts it again."""
        await call.move(call.kernel_sandbox.stop, start=False)

    @subcommand("delete", Signature())
    async def delete(call: MagicCall) -> None:
        """Delete the sandbox with its files. The next cell makes a new one."""
        if not call.kernel_sandbox.owned:
            raise MagicUsageError(
                "This sandbox is not the kernel's own, which therefore does not delete it; "
                "%sandbox new moves to another one."
            )
        await call.move(call.kernel_sandbox.delete, start=False)

    @subcommand("keep", Signature())
    async def keep(call: MagicCall) -> None:
        """Keep the sandbox when the kernel ends."""
        sandbox = await call.kernel_sandbox.keep()
        await call.print(
            f"Sandbox {sandbox.name} stays when this kernel ends; "
            f"%sandbox attach {sandbox.id} returns to it.\n"
        )

    @subcommand("preview", Signature((Positional("port", "where a server in the sandbox listens"),)))
    async def preview(call: MagicCall, port: str) -> str | None:
        """Show the address of a server in the sandbox; `url = %sandbox preview 8000` returns it."""
        if not (port.isdigit() and 0 < int(port) < 65536):
            raise MagicUsageError(f"PORT is a number up to 65535, not {port!r}.")
        sandbox = await call.sandbox()
        url = (await sandbox.preview_url(int(port))).url
        if call.assigned:
            return url
        link = f'<a href="{escape(url, quote=True)}" target="_blank">{escape(url)}</a>'
        await call.display({"text/plain": url, "text/html": link})
        return None


async def _move(call: MagicCall, sandbox: AsyncSandbox, *, owned: bool) -> None:
    async def work() -> str:
        old = await call.kernel_sandbox.move(sandbox, owned=owned)
        return " ".join(filter(None, (f"The cells now run in sandbox {sandbox.name}.", _FRESH, old)))

    await call.move(work, start=True)


async def _sandbox_ids(call: MagicCall, _expected: Expected) -> list[str]:
    return [each.id async for each in call.kernel_sandbox.daytona.list()]


def rows_of(call: MagicCall, sandbox: AsyncSandbox) -> list[tuple[str, str]]:
    """What is to be known of the kernel's sandbox, as rows of a table."""
    instance = sandbox.instance
    age = age_of(sandbox)
    idle = instance.auto_stop_interval
    rows = [
        ("Sandbox", sandbox.name if sandbox.name == sandbox.id else f"{sandbox.name} ({sandbox.id})"),
        ("State", sandbox.state),
        ("Created", f"{age} ago" if age else ""),
        ("Stops", f"after {format_duration(idle * 60)} without activity" if idle else "never by itself"),
        ("Size", ", ".join(_sizes(sandbox))),
        ("Snapshot", instance.snapshot or ""),
        ("Region", sandbox.target),
        (
            "At the end",
            "deleted with the kernel" if call.kernel_sandbox.owned else "stays: it is not the kernel's own",
        ),
    ]
    return [(name, value) for name, value in rows if value]


def _sizes(sandbox: AsyncSandbox) -> list[str]:
    instance = sandbox.instance
    sizes = ((instance.cpu, "cores"), (instance.memory, "GiB memory"), (instance.disk, "GiB disk"))
    return [f"{number:g} {unit}" for number, unit in sizes if number]


def age_of(sandbox: AsyncSandbox) -> str:
    """How long ago it was made, for a person; "" when that is not known."""
    try:
        created = datetime.fromisoformat(sandbox.instance.created_at or "")
    except ValueError:
        return ""
    return format_duration(round((datetime.now(UTC) - created).total_seconds()))
