"""The settings of a new sandbox. Each is an option of `%sandbox new`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .declaration import ALL, PERSONS, PROCESS, Declaration, Origin
from .kinds import ADDRESSES, FLAG, PACKAGES, TEXT, VARIABLES, VOLUMES, choice, number

if TYPE_CHECKING:
    from .kinds import Kind


def _of_sandbox(
    name: str,
    kind: Kind,
    meaning: str,
    default: str,
    origins: tuple[Origin, ...] = ALL,
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


SANDBOX = (
    _of_sandbox(
        "name",
        TEXT,
        "The sandbox's name. A name can be used once at a time.",
        "its id",
        (Origin.OPTION, *PROCESS),
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
        PERSONS,
        help_="a volume and its path",
        option="volume",
    ),
    _of_sandbox(
        "network_block_all",
        FLAG,
        "Whether the sandbox has no network.",
        "no",
        PERSONS,
        help_="give it no network",
    ),
    _of_sandbox(
        "network_allow_list",
        ADDRESSES,
        "The networks that the sandbox may reach, for example `10.0.0.0/24`.",
        "all",
        PERSONS,
        help_="a network that it may reach",
    ),
    _of_sandbox(
        "domain_allow_list",
        ADDRESSES,
        "The domains that the sandbox may reach, for example `*.example.com`.",
        "all",
        PERSONS,
        help_="a domain that it may reach",
    ),
    _of_sandbox(
        "auto_stop",
        number(0, "minutes"),
        "The minutes without activity until the sandbox stops; 0 for never.",
        "30",
        PERSONS,
        help_="the minutes without activity until it stops, 0 for never",
    ),
    _of_sandbox(
        "auto_pause",
        number(0, "minutes"),
        "The minutes without activity until the sandbox pauses, with its variables, instead of stopping; 0 "
        "for never. Daytona's containers cannot pause.",
        "30 if `at_shutdown` is `pause`, otherwise 0",
        PERSONS,
        help_="the minutes without activity until it pauses, 0 for never",
    ),
    _of_sandbox(
        "auto_delete",
        number(-1, "minutes"),
        "The minutes until a stopped sandbox is deleted; 0 for at once, -1 for never.",
        "1440; never for a sandbox that stays",
        PERSONS,
        help_="the minutes until it is deleted after a stop, 0 for at once, -1 for never",
    ),
    _of_sandbox(
        "at_shutdown",
        choice("delete", "keep", "stop", "pause"),
        "What the kernel does with its sandbox when it ends. `keep` and `pause` also keep the variables. The "
        "next kernel of the same notebook goes on in a sandbox that stays. It is not deleted later either, "
        "unless `auto_delete` says so.",
        "`delete`",
        PERSONS,
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
