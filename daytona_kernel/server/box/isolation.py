"""The paths and the environment that a sandbox's children see.

With bubblewrap, a sandbox has its own file system, and the paths are the same in every sandbox.
Without it, children see the machine's file system, and the paths lead into the box's directory.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from .inherited import inherited_settings, without_local_indexes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .bubblewrap import Bubblewrap
    from .landlock import Landlock

    Isolation: TypeAlias = Bubblewrap | Landlock

ISOLATIONS = ("auto", "bubblewrap", "landlock", "preferred", "none")

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a box's directories, as its children see them.

    `isolated` tells whether they reach only some files of the machine.
    """

    home: str
    workspace: str
    tmp: str
    python: str
    run: str  # FIFOs between its sessions and the server
    programs: str  # launchers and hints, which the server makes
    isolated: bool = False


PARTS = ("home", "workspace", "tmp", "python", "run")
ISOLATED = Layout(
    home="/home/daytona",
    workspace="/workspace",
    tmp="/tmp",  # noqa: S108  # a path inside the sandbox
    python="/opt/daytona",
    run="/run/daytona",
    programs="/opt/programs",
    isolated=True,
)


# A sandbox on an image has the image's Python, and nothing in front of it. What it inherits is here.
ON_AN_IMAGE = replace(ISOLATED, python="", programs="")
_IMAGE_CONFIGURATION = "/run/settings"
IMAGE_SETTINGS = f"{_IMAGE_CONFIGURATION}/pip"  # pip looks for `pip/pip.conf`


def layout_at(directory: Path, *, isolated: bool) -> Layout:
    """Return the layout of the box in `directory` if that has no file system of its own."""
    return Layout(**{part: str(directory / part) for part in (*PARTS, "programs")}, isolated=isolated)


def children_environment(
    layout: Layout, sandbox_id: str, env: Mapping[str, str], inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a sandbox's children: some settings of the server, and `env`.

    `inherited` is the server's environment; `None` means that of this process.
    """
    own = os.environ if inherited is None else inherited
    path = _SYSTEM_PATH if layout.isolated else own.get("PATH") or _SYSTEM_PATH
    inherit = inherited_settings(own)
    if layout.isolated:
        inherit = without_local_indexes(inherit)
    of_packages = f"{sys.prefix}/bin"  # programs that are no Python scripts, such as ruff
    return {
        "LANG": "C.UTF-8",
        "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",  # data of packages, such as nbconvert's templates
        **inherit,
        "NPM_CONFIG_GLOBALCONFIG": f"{layout.python}/etc/npmrc",
        "PATH": f"{layout.python}/bin:{layout.home}/.local/bin:{layout.programs}:{path}:{of_packages}",
        "HOME": layout.home,
        "USER": "daytona",
        "LOGNAME": "daytona",
        "SHELL": "/bin/bash",
        "TERM": "xterm-256color",
        "TMPDIR": layout.tmp,
        "VIRTUAL_ENV": layout.python,
        **env,
        "DAYTONA_SANDBOX_ID": sandbox_id,
    }


def image_environment(
    sandbox_id: str,
    env: Mapping[str, str],
    own: Mapping[str, str],
    inherited: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment of the children of a sandbox on an image that sets the variables `own`.

    `inherited` is as for `children_environment`.
    """
    settings = inherited_settings(os.environ if inherited is None else inherited)
    path = own.get("PATH", _SYSTEM_PATH)
    return {
        "LANG": "C.UTF-8",
        **without_local_indexes(settings),
        "NPM_CONFIG_GLOBALCONFIG": f"{IMAGE_SETTINGS}/etc/npmrc",
        "XDG_CONFIG_DIRS": f"{_IMAGE_CONFIGURATION}:/etc/xdg",
        "SHELL": "/bin/bash",
        "TERM": "xterm-256color",
        **own,
        "PATH": f"{ON_AN_IMAGE.home}/.local/bin:{path}",
        "HOME": ON_AN_IMAGE.home,
        "USER": "daytona",
        "LOGNAME": "daytona",
        "TMPDIR": ON_AN_IMAGE.tmp,
        **env,
        "DAYTONA_SANDBOX_ID": sandbox_id,
    }
