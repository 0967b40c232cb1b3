"""The declaration of a magic as a class: its commands, its help, its errors and its completion."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.errors import DaytonaError, MagicUsageError
from daytona_kernel.magics.magic import cell_magic, completes, magic
from daytona_kernel.magics.reach import Reach
from daytona_kernel.magics.registry import Registry
from daytona_kernel.magics.signature import Option, Positional, Signature

from .recorded_call import RecordedCall

if TYPE_CHECKING:
    from daytona_kernel.magics.arguments import Expected
    from daytona_kernel.magics.magic_call import MagicCall

pytestmark = pytest.mark.anyio

NAME = Positional("name", "whom to greet", kind="person")


class GreetingMagic:
    """Greetings."""

    def __init__(self) -> None:
        self.people = ["Ada", "Grace"]
        self.is_slow = False

    @magic("greet all", Signature(), Reach.SANDBOX, default=True)
    async def greet_all(self, call: MagicCall) -> int:
        """Greet everybody."""
        await call.print(f"Hello {', '.join(self.people)}.\n")
        return len(self.people)

    @magic("greet person", Signature((NAME,), (Option("loud", "in capitals"),)), Reach.SANDBOX)
    async def greet_person(self, call: MagicCall, name: str, loud: bool) -> None:
        """Greet one person."""
        await call.print(f"Hello {name.upper() if loud else name}.\n")

    @cell_magic("greet", Signature(), Reach.SANDBOX)
    async def greet_lines(self, call: MagicCall) -> None:
        """Greet the people below the line."""
        for name in (call.body or "").splitlines():
            await call.print(f"Hello {name}.\n")

    @cell_magic("letter", Signature(), Reach.SANDBOX)
    async def write_letter(self, call: MagicCall) -> None:
        """Write a letter."""
        await call.print(call.body or "")

    @completes("person", Reach.SANDBOX)
    async def names(self, _call: MagicCall, _expected: Expected) -> list[str]:
        if self.is_slow:
            await asyncio.get_running_loop().create_future()
        return self.people


@pytest.fixture
def greetings() -> GreetingMagic:
    return GreetingMagic()


@pytest.fixture
def registry(greetings: GreetingMagic) -> Registry:
    registry = Registry()
    registry.add(greetings)
    return registry


@pytest.mark.parametrize(
    ("name", "line", "body", "printed"),
    [
        ("greet", "", None, "Hello Ada, Grace.\n"),
        ("greet", "all", None, "Hello Ada, Grace.\n"),
        ("greet", "person Ada --loud", None, "Hello ADA.\n"),
        ("greet", "", "Ada\nGrace", "Hello Ada.\nHello Grace.\n"),
        ("letter", "", "Dear Ada", "Dear Ada"),
    ],
)
async def test_a_line_or_a_cell_runs_its_handler(
    registry: Registry, name: str, line: str, body: str | None, printed: str
) -> None:
    cell = RecordedCall(line, body)
    await registry.run(name, cell.call)
    assert cell.printed["stdout"] == printed


async def test_the_handlers_result_is_returned(registry: Registry) -> None:
    assert await registry.run("greet", RecordedCall("all").call) == 2


@pytest.mark.parametrize(
    ("name", "line", "body", "message"),
    [
        ("greet", "nobody", None, "%greet has no 'nobody'; it has: all, person."),
        ("greet", "person", None, "NAME is missing: whom to greet. See %greet person --help."),
        ("greet", "now", "Ada", "Too many arguments: 'now'. See %%greet --help."),
        ("letter", "", None, "%%letter is a cell magic: it starts a cell and takes the lines below it."),
    ],
)
async def test_a_wrong_line_gives_one_sentence(
    registry: Registry, name: str, line: str, body: str | None, message: str
) -> None:
    with pytest.raises(MagicUsageError) as raised:
        await registry.run(name, RecordedCall(line, body).call)
    assert str(raised.value) == message


async def test_an_unknown_magic_is_an_error(registry: Registry) -> None:
    with pytest.raises(DaytonaError, match="The kernel has no magic 'none'"):
        await registry.run("none", RecordedCall().call)


async def test_help_comes_from_the_docstrings(registry: Registry) -> None:
    cell = RecordedCall("--help")
    await registry.run("greet", cell.call)
    assert cell.printed["stdout"] == registry.helps["greet"] + "\n"
    for text in ("Greetings.", "%greet person NAME [--loud]", "Greet one person.", "in capitals", "%%greet"):
        assert text in cell.printed["stdout"]
    assert registry.helps["letter"].startswith("Write a letter.\n")
    one = RecordedCall("person --help")
    await registry.run("greet", one.call)
    assert one.printed["stdout"].startswith("%greet person NAME [--loud]\n      Greet one person.\n")


async def test_a_late_completion_uses_the_last_words(greetings: GreetingMagic, registry: Registry) -> None:
    call = RecordedCall().call
    expected = {"words": ["Ada", "Grace"], "paths": False}
    assert await registry.complete("greet", " person ", call, of_cell=False, is_typed=False) == expected
    greetings.is_slow = True
    assert await registry.complete("greet", " person ", call, of_cell=False, is_typed=False) == expected
    assert (await registry.complete("greet", " p", call, of_cell=False, is_typed=False))["words"][:2] == [
        "all",
        "person",
    ]
