"""Where a sandbox's children live: the paths they see, their environment, and what isolates them.

Two ways. With bubblewrap the root is put together directory by directory, and the paths are the
same in every sandbox. Without it the sandbox's directories are used as they lie on the machine.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ISOLATIONS = ("auto", "bubblewrap", "none")
ISOLATION_VARIABLE = "DAYTONA_KERNEL_ISOLATION"  # one of them, for the embedded server

_INHERITED = re.compile(
    r"LANG|LANGUAGE|LC_[A-Z]+|TZ|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|PIP_(?:INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|CERT|TRUSTED_HOST|PROXY|TIMEOUT|RETRIES)"
    r"|(?:HTTPS?|FTP|ALL|NO)_PROXY|(?:https?|ftp|all|no)_proxy"
)
_CREDENTIALS = re.compile(r"//[^/\s@]+@")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Layout:
    """The sandbox's own directories, as its children see them."""

    home: str
    workspace: str
    tmp: str
    python: str
    run: str  # the pipes between its sessions and the server


PARTS = ("home", "workspace", "tmp", "python", "run")
ISOLATED = Layout(
    home="/home/daytona", workspace="/workspace", tmp="/tmp", python="/opt/daytona", run="/run/daytona"
)


def layout_of(root: Path, isolation: str) -> Layout:
    """Return the paths that children of the sandbox in `root` see under `isolation`."""
    if isolation == "bubblewrap":
        return ISOLATED
    return Layout(**{part: str(root / part) for part in PARTS})


def inherited_settings(own: Mapping[str, str]) -> dict[str, str]:
    """Return what of the environment `own` children inherit: an allow-list of language, network and pip.

    A setting that holds credentials, as a proxy or index URL may, is not passed on.
    """
    return {
        name: value
        for name, value in own.items()
        if _INHERITED.fullmatch(name) and not _CREDENTIALS.search(value)
    }


def children_environment(
    layout: Layout, sandbox_id: str, env: Mapping[str, str], inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a sandbox's children: a few settings of the server's own, and `env`."""
    own = os.environ if inherited is None else inherited
    path = _SYSTEM_PATH if layout == ISOLATED else own.get("PATH") or _SYSTEM_PATH
    return {
        "LANG": "C.UTF-8",
        **inherited_settings(own),
        "PATH": f"{layout.python}/bin:{layout.home}/.local/bin:{path}",
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
