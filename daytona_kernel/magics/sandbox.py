"""`%sandbox`: the kernel's sandbox, and moves to another one."""

from __future__ import annotations

import socket
from html import escape
from typing import TYPE_CHECKING, Any

from .. import sandbox_facts
from ..client.states import Course, state_of
from ..errors import DaytonaError, DaytonaNotFoundError, MagicUsageError
from ..formatting import format_sizes
from ..settings.resolution import process_settings
from ..settings.sandbox import SANDBOX
from ..settings.table import TABLE
from .magic import completes, magic
from .reach import Reach
from .signature import Option, Positional, Signature
from .table import Code, table
from .timing import ticking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client.models.sandboxes import SandboxInstance
    from ..client.sandbox import AsyncSandbox
    from ..settings.declaration import Declaration
    from .arguments import Expected
    from .magic_call import MagicCall

_FRESH = "The interpreter there starts without your variables."
_LAST_PORT = 65535
_ENDS = {
    "delete": "deleted with the kernel",
    "keep": "kept when the kernel ends",
    "stop": "stopped when the kernel ends, with its files kept",
    "pause": "paused when the kernel ends, with its files and variables kept",
}
# A server that was started in the cell before takes a moment until it listens.
_LISTENS = "for _ in {1..10}; do (: <> /dev/tcp/localhost/PORT) && exit; sleep 0.1; done 2> /dev/null; exit 1"
_NOTHING_LISTENS = (
    "Nothing listens on port {port} of the sandbox yet. The address works once a server listens there.\n"
)


def _option(setting: Declaration) -> Option:
    kind = setting.kind
    if kind.split is not None:
        return Option(setting.option, setting.help, setting.placeholder, kind.check_piece, repeated=True)
    return Option(setting.option, setting.help, setting.placeholder, kind.from_text)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that options give, by name. values: those of all options, by parameter."""
    given = {}
    for each in SANDBOX:
        value = values[each.parameter]
        if value is not None and value is not False and value != []:
            given[each.name] = value if each.kind.split is None else each.kind.from_pieces(value)
    return given


class SandboxMagic:
    """Show and change the sandbox that the cells run in."""

    @magic("sandbox info", Signature(), Reach.SANDBOX, default=True)
    async def show_sandbox(self, call: MagicCall) -> None:
        """Show the sandbox: its state, its size and use, when it stops by itself, and its price."""
        sandbox = await call.sandbox()
        await sandbox.refresh_data()
        await call.display(table(("", ""), [*sandbox_rows(call, sandbox), *await _usage_rows(call, sandbox)]))

    @magic("sandbox list", Signature(), Reach.SANDBOX)
    async def list_sandboxes(self, call: MagicCall) -> None:
        """List all sandboxes of the account, and whose each is. A star marks this kernel's."""
        current = await call.sandbox()
        host = socket.gethostname()
        rows = []
        async for each in call.kernel_sandbox.daytona.list():
            about, name = each.instance, Code(sandbox_facts.shown(each.name))
            star = "*" if each.id == current.id else ""
            owner = sandbox_facts.whose(each.labels, host)
            times = (sandbox_facts.age(about), sandbox_facts.idle(about))
            rows.append((star, name, Code(each.id), each.state, owner, *times))
        await call.display(table(("", "Name", "Id", "State", "Whose", "Created", "Idle for"), rows))

    @magic(
        "sandbox new",
        Signature(options=[_option(each) for each in SANDBOX]),
        Reach.MOVE,
    )
    async def create(self, call: MagicCall, **values: Any) -> None:
        """Create a sandbox and move there. The old one is deleted if this kernel created it."""
        async with ticking(call, "Creating a sandbox for"):
            sandbox = await call.kernel_sandbox.create(_given(values))
        await _move(call, sandbox, owned=True)

    @magic(
        "sandbox attach",
        Signature((Positional("id", "the sandbox's id or name", kind="sandbox"),)),
        Reach.MOVE,
    )
    async def attach(self, call: MagicCall, id_: str) -> None:
        """Move to an existing sandbox. The kernel will never delete it."""
        try:
            sandbox = await call.kernel_sandbox.daytona.get(id_)
        except DaytonaNotFoundError:
            raise DaytonaNotFoundError(
                f"There is no sandbox {id_!r}; %sandbox list shows the sandboxes."
            ) from None
        if sandbox.id == (await call.sandbox()).id:
            raise MagicUsageError(f"The cells already run in sandbox {sandbox.name}.")
        if sandbox.state != "started":
            async with ticking(call, f"{_start_of(sandbox)} sandbox {sandbox.name} for"):
                await sandbox.start()
        await _move(call, sandbox, owned=False)

    @magic("sandbox start", Signature(), Reach.ACCOUNT)
    async def start(self, call: MagicCall) -> None:
        """Start a stopped sandbox or resume a paused one now. Otherwise the next cell does it."""
        sandbox = await call.sandbox()
        await sandbox.refresh_data()
        if sandbox.state == "started":
            await call.print(f"Sandbox {sandbox.name} is running.\n")
            return
        async with ticking(call, f"{_start_of(sandbox)} sandbox {sandbox.name} for"):
            await sandbox.start()
        await call.print(f"Started sandbox {sandbox.name}.\n")

    @magic("sandbox stop", Signature(), Reach.MOVE)
    async def stop(self, call: MagicCall) -> None:
        """Stop the sandbox: files stay, variables and commands end. The next cell starts it again."""
        await call.move(call.kernel_sandbox.stop, start=False)

    @magic("sandbox pause", Signature(), Reach.ACCOUNT)
    async def pause(self, call: MagicCall) -> None:
        """Pause the sandbox after this cell: files and variables stay. The next cell resumes it."""
        await call.pause(call.kernel_sandbox.pause)

    @magic("sandbox delete", Signature(), Reach.MOVE)
    async def delete(self, call: MagicCall) -> None:
        """Delete the sandbox with its files. The next cell creates a new one."""
        if not call.kernel_sandbox.owned:
            raise MagicUsageError(
                "This kernel did not create this sandbox, so it will not delete it. "
                "%sandbox new moves to another one."
            )
        await call.move(call.kernel_sandbox.delete, start=False)

    @magic("sandbox keep", Signature(), Reach.ACCOUNT)
    async def keep(self, call: MagicCall) -> None:
        """Keep the sandbox when the kernel ends."""
        sandbox = await call.kernel_sandbox.keep()
        next_ = (
            "The next kernel of this notebook goes on there, with its files and variables. "
            if call.kernel_sandbox.keeps_interpreter
            else ""
        )
        await call.print(
            f"Sandbox {sandbox.name} stays when this kernel ends. {next_}"
            f"%sandbox attach {sandbox.id} returns to it.\n"
        )

    @magic(
        "sandbox preview",
        Signature((Positional("port", "the port of a server in the sandbox"),)),
        Reach.SANDBOX,
    )
    async def preview(self, call: MagicCall, port: str) -> str | None:
        """Show the URL of a server in the sandbox. `url = %sandbox preview 8000` assigns it."""
        if not (port.isdigit() and 0 < int(port) <= _LAST_PORT):
            raise MagicUsageError(f"PORT is a number from 1 to {_LAST_PORT}, not {port!r}.")
        sandbox = await call.sandbox()
        url = (await sandbox.preview_url(int(port))).url
        if not call.assigned:
            link = f'<a href="{escape(url, quote=True)}" target="_blank">{escape(url)}</a>'
            await call.display({"text/plain": url, "text/html": link})
        if (await sandbox.process.exec(_LISTENS.replace("PORT", port))).exit_code != 0:
            await call.print(_NOTHING_LISTENS.format(port=port), "stderr")
        return url if call.assigned else None

    @completes("sandbox", Reach.SANDBOX)
    async def sandbox_ids(self, call: MagicCall, _expected: Expected) -> list[str]:
        """Return the ids of all sandboxes."""
        return [each.id async for each in call.kernel_sandbox.daytona.list()]


def sandbox_rows(call: MagicCall, sandbox: AsyncSandbox) -> list[tuple[str, str]]:
    """Return the facts about the kernel's sandbox, as rows of a table."""
    instance = sandbox.instance
    rates = process_settings([TABLE["rates"]]).get("rates")
    # Nothing bounds the disk of a sandbox on this machine.
    disk = None if call.kernel_sandbox.place.bounds else instance.disk
    rows = [
        ("Sandbox", Code(sandbox.name)),
        ("Id", Code("" if sandbox.name == sandbox.id else sandbox.id)),
        ("State", sandbox.state),
        ("Created", sandbox_facts.age(instance)),
        *sandbox_facts.ends(instance),
        ("Price", "" if rates is None else f"{sandbox_facts.price(instance, rates.value)} ({rates.source})"),
        ("Size", format_sizes(instance.cpu, instance.memory, disk, instance.gpu)),
        ("Snapshot", Code(instance.snapshot or "")),
        ("Image", Code((instance.image or "").removeprefix("FROM ").strip())),
        ("Region", sandbox.target),
        ("Network", _network(instance)),
        ("Isolation", call.kernel_sandbox.place.note),
        ("Bounds", call.kernel_sandbox.place.bounds),
        ("Volumes", ", ".join(f"{each.volume_id} at {each.mount_path}" for each in instance.volumes)),
        (
            "At the end",
            _ENDS[call.kernel_sandbox.at_shutdown]
            if call.kernel_sandbox.owned
            else "kept: this kernel did not create it",
        ),
    ]
    return [(name, value) for name, value in rows if value]


async def _move(call: MagicCall, sandbox: AsyncSandbox, *, owned: bool) -> None:
    instance = sandbox.instance
    sizes = format_sizes(instance.cpu, instance.memory, instance.disk, instance.gpu)
    where = f"{sandbox.name} ({sizes})" if sizes else sandbox.name

    async def work() -> str:
        old = await call.kernel_sandbox.move(sandbox, owned=owned)
        return " ".join(filter(None, (f"The cells now run in sandbox {where}.", _FRESH, old)))

    await call.move(work, start=True)


def _network(instance: SandboxInstance) -> str:
    """Return what limits the sandbox's network; "" for nothing."""
    if instance.network_block_all:
        return "none"
    allowed = ",".join(filter(None, (instance.network_allow_list, instance.domain_allow_list)))
    return f"only {allowed.replace(',', ', ')}" if allowed else ""


async def _usage_rows(call: MagicCall, sandbox: AsyncSandbox) -> list[tuple[str, str]]:
    """Return what the sandbox uses; nothing if its toolbox does not tell."""
    try:
        used = await sandbox.get_metrics_latest()
    except DaytonaError:
        return []
    return sandbox_facts.usage(used, shares_disk=bool(call.kernel_sandbox.place.bounds))


def _start_of(sandbox: AsyncSandbox) -> str:
    """Return what a start does to the sandbox."""
    return "Resuming" if state_of(sandbox.state).course is Course.RESUME else "Starting"
