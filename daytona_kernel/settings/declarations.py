"""The table of settings: the name of each, its kind, its meaning, and the places that it may come from.

`docs/environment.md` shows this table, and a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from .kinds import ADDRESSES, CREDENTIAL, FLAG, PACKAGES, SECONDS, TEXT, VARIABLES, VOLUMES, choice, number

if TYPE_CHECKING:
    from .kinds import Kind


class Origin(Enum):
    """A place that values come from. The first that has a value decides. The texts are for people."""

    OPTION = "option"
    NOTEBOOK = "notebook"
    KERNELSPEC = "kernelspec"
    ENVIRONMENT = "environment"
    FILE = "user's file"
    DEFAULT = "default"


_ALL = (Origin.OPTION, Origin.NOTEBOOK, Origin.KERNELSPEC, Origin.ENVIRONMENT, Origin.FILE)
# A notebook may be a stranger's. It decides nothing about the person's machine and account, nor about costs
# that go on.
_PERSONS = (Origin.OPTION, Origin.KERNELSPEC, Origin.ENVIRONMENT, Origin.FILE)
_PROCESS = (Origin.ENVIRONMENT, Origin.FILE)
_VARIABLE = (Origin.ENVIRONMENT,)


@dataclass(frozen=True)
class Declaration:
    """A setting.

    default: the behavior without a value, for people.
    origins: the places that it may come from; the embedded server's own program reads only the environment.
    variable: its environment variable.
    private: whether nobody may see its value.
    option: the name of its option, without the dashes; "" for none.
    help: what the option takes.
    """

    name: str
    kind: Kind
    meaning: str
    default: str
    origins: tuple[Origin, ...]
    variable: str
    private: bool = False
    option: str = ""
    help: str = ""

    @property
    def placeholder(self) -> str | None:
        """What help shows for the option's value; None for a flag."""
        return self.option.upper() if self.kind.placeholder == "" else self.kind.placeholder

    @property
    def parameter(self) -> str:
        """The name of the option's value in Python."""
        return self.option.replace("-", "_")


def _of_sandbox(
    name: str,
    kind: Kind,
    meaning: str,
    default: str,
    origins: tuple[Origin, ...] = _ALL,
    *,
    option: str = "",
    help_: str = "",
    variable: str = "",
) -> Declaration:
    return Declaration(
        name,
        kind,
        meaning,
        default,
        origins,
        variable or f"DAYTONA_SANDBOX_{name.upper()}",
        option=option or name.replace("_", "-"),
        help=help_ or kind.help,
    )


ACCOUNT = (
    Declaration(
        "api_key",
        CREDENTIAL,
        "The API key of the account. It is never printed in full.",
        "Without a key and a URL, cells run on this machine, in the embedded server.",
        _VARIABLE,
        "DAYTONA_API_KEY",
        private=True,
    ),
    Declaration(
        "api_url",
        CREDENTIAL,
        "The URL of the API, for example of your own server. It needs a key.",
        "`https://app.daytona.io/api` if a key is set",
        _PROCESS,
        "DAYTONA_API_URL",
    ),
    Declaration(
        "jwt_token",
        CREDENTIAL,
        "A token instead of the API key. The key takes precedence.",
        "none",
        _VARIABLE,
        "DAYTONA_JWT_TOKEN",
        private=True,
    ),
    Declaration(
        "organization_id",
        CREDENTIAL,
        "The organization of the token. A token needs it.",
        "none",
        _PROCESS,
        "DAYTONA_ORGANIZATION_ID",
    ),
    Declaration(
        "dotenv_folders",
        TEXT,
        "Folders that you trust, as absolute paths with `:` between them. A kernel that starts there, or "
        "below, takes the API key from the folder's `.env.local` or `.env`, and never a URL.",
        "none",
        _PROCESS,
        "DAYTONA_KERNEL_DOTENV_FOLDERS",
    ),
    Declaration(
        "cli_login",
        FLAG,
        "Whether the login of Daytona's command line is used if there is no other.",
        "yes",
        _PROCESS,
        "DAYTONA_KERNEL_CLI_LOGIN",
    ),
)

# The settings of the person's own processes.
MACHINE = (
    Declaration(
        "outputs",
        choice("all", "safe"),
        "`safe` keeps active content out of outputs: see [security.md](security.md). Needs "
        '`pip install "daytona-kernel[safe]"`.',
        "`all`",
        _PROCESS,
        "DAYTONA_KERNEL_OUTPUTS",
    ),
    Declaration(
        "show_secrets",
        FLAG,
        "Shows the kernel's keys and tokens in outputs as they are, and does not mask them.",
        "no",
        _PROCESS,
        "DAYTONA_KERNEL_SHOW_SECRETS",
    ),
    Declaration(
        "local",
        FLAG,
        "Allows `%%local`, which runs code on the notebook's own machine.",
        "no",
        _PROCESS,
        "DAYTONA_KERNEL_LOCAL",
    ),
    Declaration(
        "folders",
        TEXT,
        "Folders of the notebook's machine, as absolute paths with `:` between them. Code in the sandbox may "
        "copy files from and to them with `%upload` and `%download` without a question, so name no folder "
        "from which programs are run.",
        "none: such code asks",
        _PROCESS,
        "DAYTONA_KERNEL_FOLDERS",
    ),
    Declaration(
        "isolation",
        choice("auto", "bubblewrap", "landlock", "none", "preferred"),
        "The isolation of the embedded server's sandboxes. `auto`: bubblewrap, or Landlock where bubblewrap "
        "does not work, or nothing runs. `bubblewrap` and `landlock`: that one, or nothing runs. `none`: "
        "none, and the first cell of each kernel says so. `preferred`: as `auto`, or else none; the demo and "
        "the tests use it, because they run this project's own code.",
        "`auto`",
        _PROCESS,
        "DAYTONA_KERNEL_ISOLATION",
    ),
    Declaration(
        "network",
        choice("auto", "none", "host", "preferred"),
        "The network of isolated sandboxes. `auto` is their own network with the internet, without this "
        "machine and its loopback; it needs slirp4netns, and without that it is `none`. `host` is this "
        "machine's network with everything on its loopback. `preferred` is `auto`, or else `host`; the demo "
        "and the tests use it.",
        "`auto`",
        _PROCESS,
        "DAYTONA_KERNEL_NETWORK",
    ),
    Declaration(
        "local_snapshots",
        TEXT,
        "Directories with a root file system, as `docker export` and `mmdebstrap` make them, from which "
        "isolated sandboxes can be created: `NAME=DIRECTORY`, with `:` between them. `%sandbox new "
        "--snapshot NAME` uses one.",
        "none: sandboxes have this machine's programs",
        _PROCESS,
        "DAYTONA_KERNEL_LOCAL_SNAPSHOTS",
    ),
    Declaration(
        "profile",
        choice("own", "daytona"),
        "The behavior of the embedded server where clients can tell it from Daytona. `own`: it loses nothing "
        "and waits for nothing. `daytona`: the limits, losses and delays of Daytona's own servers, for tests "
        "of programs that use both. `daytona-kernel serve` has the option `--profile`.",
        "`own`",
        _PROCESS,
        "DAYTONA_KERNEL_PROFILE",
    ),
    Declaration(
        "sandbox_id",
        TEXT,
        "The id or name of an existing sandbox for the kernel. The kernel never deletes it.",
        "The kernel creates a sandbox.",
        _PROCESS,
        "DAYTONA_SANDBOX_ID",
    ),
    Declaration(
        "toolbox_hosts",
        ADDRESSES,
        "Hosts outside of daytona.io where Daytona may have toolboxes: those of your organization's own "
        "regions. They get the API key.",
        "none",
        _PROCESS,
        "DAYTONA_KERNEL_TOOLBOX_HOSTS",
    ),
    Declaration(
        "wait_limit",
        SECONDS,
        "The most seconds that the kernel waits for a server that does not answer or refuses. Programs that "
        "execute notebooks get their error sooner with it.",
        "each wait has its own bound: [reliability.md](reliability.md)",
        _VARIABLE,
        "DAYTONA_KERNEL_WAIT_LIMIT",
    ),
    Declaration(
        "serve_key",
        TEXT,
        "The API key of `daytona-kernel serve`, if `--key` is not given.",
        "a new key",
        _VARIABLE,
        "DAYTONA_KERNEL_SERVE_KEY",
        private=True,
    ),
)

# The settings of a new sandbox. Each is an option of `%sandbox new`.
SANDBOX = (
    _of_sandbox(
        "name",
        TEXT,
        "The sandbox's name. A name can be used once at a time.",
        "its id",
        (Origin.OPTION, *_PROCESS),
        help_="its name",
    ),
    _of_sandbox(
        "snapshot",
        TEXT,
        "The snapshot that the sandbox is created from. It also decides the size.",
        "the organization's default",
        help_="the snapshot that it is created from",
    ),
    _of_sandbox(
        "image",
        TEXT,
        "The container image that the sandbox is created from, for example `python:3.13`, instead of a "
        "snapshot.",
        "none",
        help_="the container image that it is created from",
    ),
    _of_sandbox(
        "language",
        choice("python", "javascript", "typescript"),
        "The language of `%%code_run`.",
        "`python`",
    ),
    _of_sandbox("cpu", number(1, "cores"), "The number of cores. At Daytona it needs an image.", "Daytona's"),
    _of_sandbox("memory", number(1, "GiB"), "The memory in GiB. At Daytona it needs an image.", "Daytona's"),
    _of_sandbox("disk", number(1, "GiB"), "The disk in GiB. At Daytona it needs an image.", "Daytona's"),
    _of_sandbox("gpu", number(1, "GPUs"), "The number of GPUs. At Daytona it needs an image.", "none"),
    _of_sandbox(
        "target",
        TEXT,
        "The region for new sandboxes.",
        "the organization's default",
        variable="DAYTONA_TARGET",
        help_="its region",
    ),
    _of_sandbox(
        "env",
        VARIABLES,
        "Environment variables of everything that runs in the sandbox. Only their names are shown.",
        "none",
        help_="a variable of its environment, NAME=VALUE",
    ),
    _of_sandbox(
        "volumes",
        VOLUMES,
        "Volumes of the account, each with the path where it is.",
        "none",
        _PERSONS,
        help_="a volume and its path",
        option="volume",
    ),
    _of_sandbox(
        "network_block_all",
        FLAG,
        "Whether the sandbox has no network.",
        "no",
        _PERSONS,
        help_="give it no network",
    ),
    _of_sandbox(
        "network_allow_list",
        ADDRESSES,
        "The networks that the sandbox may reach, for example `10.0.0.0/24`.",
        "all",
        _PERSONS,
        help_="a network that it may reach",
    ),
    _of_sandbox(
        "domain_allow_list",
        ADDRESSES,
        "The domains that the sandbox may reach, for example `*.example.com`.",
        "all",
        _PERSONS,
        help_="a domain that it may reach",
    ),
    _of_sandbox(
        "auto_stop",
        number(0, "minutes"),
        "The minutes without activity until the sandbox stops; 0 for never.",
        "30",
        _PERSONS,
        help_="the minutes without activity until it stops, 0 for never",
    ),
    _of_sandbox(
        "auto_delete",
        number(-1, "minutes"),
        "The minutes until a stopped sandbox is deleted; 0 for at once, -1 for never.",
        "1440; never for a sandbox that is kept or stopped",
        _PERSONS,
        help_="the minutes until it is deleted after a stop, 0 for at once, -1 for never",
    ),
    _of_sandbox(
        "at_shutdown",
        choice("delete", "keep", "stop"),
        "What the kernel does with its sandbox when it ends. A sandbox that is kept or stopped is also not "
        "deleted later, unless `auto_delete` says so.",
        "`delete`",
        _PERSONS,
    ),
    _of_sandbox(
        "packages",
        PACKAGES,
        "Packages that are installed before the first cell runs, once in a sandbox, with uv or pip.",
        "none",
        option="package",
        help_="a package to install",
    ),
    _of_sandbox(
        "cwd",
        TEXT,
        "The folder where cells start. It is created if it is missing.",
        "the sandbox's own",
        help_="the folder where cells start",
    ),
    _of_sandbox(
        "python",
        TEXT,
        "The Python that runs the cells, as a name on the sandbox's `PATH` or as a path.",
        "`python3`",
        help_="the Python that runs the cells",
    ),
)

TABLE = {each.name: each for each in (*ACCOUNT, *MACHINE, *SANDBOX)}


def declared(name: str, origin: Origin) -> Declaration:
    """Return a setting that may come from a place. Raises SettingError."""
    declaration = TABLE.get(name)
    if declaration is None:
        from difflib import get_close_matches

        known = [each.name for each in TABLE.values() if origin in each.origins]
        close = get_close_matches(str(name), known, 1)
        raise SettingError(f"there is no setting {name!r}" + (f"; there is {close[0]!r}" if close else ""))
    if origin not in declaration.origins:
        places = " or ".join(each.value for each in declaration.origins)
        raise SettingError(f"{name} is never taken from here, only from: {places}")
    return declaration


def check(name: str, value: Any, origin: Origin) -> Any:
    """Return the value of a setting, given as JSON. Raises SettingError if it cannot come from this place."""
    declaration = declared(name, origin)
    try:
        return declaration.kind.check(value)
    except (ValueError, AttributeError, TypeError):
        is_shown = not declaration.private and isinstance(value, str | int | float | None)
        shown = f", not {value!r}" if is_shown else ""
        raise SettingError(f"{name} takes {declaration.kind.help}{shown}") from None
