"""`%secret`: a value that a person gives to the sandbox, which no notebook, command or log contains."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .. import known_secrets
from ..client.operations.secrets import NO_SUCH_SECRET
from ..errors import DaytonaError, DaytonaNotFoundError, MagicUsageError
from .magic import completes, magic
from .reach import Reach
from .signature import Option, Positional, Signature
from .table import Code, table

if TYPE_CHECKING:
    from .arguments import Expected
    from .kept_secrets import KeptSecrets
    from .magic_call import MagicCall

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Linux starts no program with a longer variable.
_MOST_BYTES = 100_000
_NO_SECRETS = (
    "The server of this sandbox has no secrets of an account: Daytona has. %secret NAME without --account "
    "asks for a value"
)
# The kernel's own settings and keys.
_OWN_PREFIX = "DAYTONA_"


class SecretMagic:
    """`%secret`."""

    @magic(
        "secret",
        Signature(
            (Positional("name", "the name of the environment variable", optional=True, kind="secret"),),
            (
                Option("from-env", "take the value from the variable of this name on the notebook's machine"),
                Option("account", "use this secret of the account, which stays at Daytona", "SECRET"),
                Option("forget", "take the secret away from cells and commands"),
            ),
        ),
        Reach.SECRET,
    )
    async def secret(
        self, call: MagicCall, name: str | None, from_env: bool, account: str | None, forget: bool
    ) -> None:
        """Ask for a value without showing it, and give it to the sandbox as an environment variable.

        Cells, commands and sessions have the variable: os.environ["NAME"], and $NAME in %sh, %session
        and %%code_run. Commands that run already do not. The value is in no notebook and no log, and
        is masked in outputs. Without NAME, list the names of the secrets.

        The kernel keeps the value in its memory: a sandbox that it creates in place of this one has it
        too, and one that you attach does not. After a restart of the kernel, run the cell again.

        With --account, the variable has a placeholder. Daytona's proxy puts the secret of the account in
        its place, in requests to the hosts that the account allows. The sandbox never has the value.

        Where nobody can be asked, set the variable NAME where Jupyter starts, and use --from-env.
        """
        secrets = call.kernel_sandbox.secrets
        if name is None:
            if from_env or forget or account is not None:
                raise MagicUsageError("Name the variable: %secret NAME.")
            await call.display(_listed(secrets))
            return
        _check_name(name)
        if from_env + forget + (account is not None) > 1:
            raise MagicUsageError("Use one of --from-env, --account and --forget; nothing was changed.")
        if forget:
            await _forget(call, name)
            return
        if account is not None:
            await _use_account(call, name, account)
            return
        value = _from_environment(name) if from_env else await _ask(call, name)
        kept = secrets.keep(name, value, "the environment" if from_env else "you")
        await call.set_environment(secrets.variables)
        masked = "Outputs hide its value." if kept.is_masked else _unmasked(value)
        await call.print(f"{name} is now a variable of cells, commands and sessions. {masked}\n")

    @completes("secret", Reach.SECRET)
    async def names(self, call: MagicCall, _expected: Expected) -> list[str]:
        """Return the names of the secrets."""
        return list(call.kernel_sandbox.secrets.listed)


async def _ask(call: MagicCall, name: str) -> str:
    """Return the value that the person types."""
    if not call.can_ask:
        raise DaytonaError(
            f"Nobody can be asked for {name} here, so it was not given to the sandbox. Set {name} in the "
            f"environment where Jupyter starts, and write %secret {name} --from-env."
        )
    value = await call.ask(f"Value of {name}, for the sandbox: ", password=True)
    if not value:
        raise DaytonaError(f"There was no answer, so {name} is as it was.")
    return _checked(name, value)


def _from_environment(name: str) -> str:
    """Return the value of a variable of the kernel's own process."""
    value = os.environ.get(name)
    if not value:
        raise DaytonaError(
            f"The notebook's machine has no variable {name}, so nothing was given to the sandbox. Set it "
            "where Jupyter starts, and start Jupyter again."
        )
    if name.startswith(_OWN_PREFIX) or known_secrets.is_own(value):
        raise DaytonaError(
            f"{name} is a setting or a key of the kernel itself, which no sandbox gets. Nothing was changed."
        )
    return _checked(name, value)


def _checked(name: str, value: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = -1
    if "\0" in value or not 0 < size <= _MOST_BYTES:
        raise DaytonaError(
            f"The value of {name} cannot be a variable: it is not text, or longer than {_MOST_BYTES} bytes. "
            "Nothing was changed."
        )
    return value


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise MagicUsageError(
            f"{name!r} is not the name of a variable: use letters, digits and underscores, as in API_TOKEN."
        )


def _unmasked(value: str) -> str:
    if len(value) < known_secrets.SHORTEST:
        return (
            f"Outputs show its value: with fewer than {known_secrets.SHORTEST} characters it cannot be told "
            "from ordinary text."
        )
    return "Outputs show its value."


async def _use_account(call: MagicCall, name: str, account_name: str) -> None:
    """Let a variable stand for a secret of the account."""
    sandbox, kernel_sandbox = await call.sandbox(), call.kernel_sandbox
    if not kernel_sandbox.owned:
        raise DaytonaError(
            "Daytona replaces all secrets of a sandbox at once, and this one may have others: the kernel did "
            "not create it. Nothing was changed."
        )
    try:
        found = await kernel_sandbox.daytona.get_secret(account_name)
    except DaytonaNotFoundError as error:
        has_secrets = error.code == NO_SUCH_SECRET
        why = f"The account has no secret {account_name!r}" if has_secrets else _NO_SECRETS
        raise DaytonaNotFoundError(f"{why}. Nothing was changed.") from None
    before = kernel_sandbox.secrets.of_account
    await sandbox.update_secrets({**before, name: account_name})
    kernel_sandbox.secrets.keep_placeholder(name, found.placeholder, account_name)
    await call.set_environment(kernel_sandbox.secrets.variables)
    hosts = ", ".join(found.hosts) or "the hosts that the account allows"
    # Daytona says so of a sandbox that was created without secrets.
    restart = (
        "" if before else " If it is not replaced yet, run %sandbox stop; the next cell starts it again."
    )
    await call.print(
        f"{name} now stands for the secret {account_name} of the account in requests to {hosts}. The sandbox "
        f"does not have its value.{restart}\n"
    )


async def _forget(call: MagicCall, name: str) -> None:
    secrets = call.kernel_sandbox.secrets
    if name not in secrets.listed:
        raise MagicUsageError(f"There is no secret {name!r}; %secret lists them.")
    if name in (of_account := secrets.of_account):
        await (await call.sandbox()).update_secrets({k: v for k, v in of_account.items() if k != name})
    secrets.forget(name)
    await call.set_environment(secrets.variables)
    await call.print(
        f"{name} was taken away from cells and new commands. Processes that have started with it still have "
        "it, and so does everything that has stored it.\n"
    )


def _listed(secrets: KeptSecrets) -> dict[str, str]:
    rows = [
        (Code(name), each.source, "hidden" if each.is_masked else "shown")
        for name, each in secrets.listed.items()
    ]
    none = "There are no secrets; %secret NAME adds one."
    return table(("Name", "Given by", "In outputs"), rows, none=none)
