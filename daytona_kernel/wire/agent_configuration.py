"""The configuration with which the kernel starts an agent; see docs/protocol.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class AgentConfiguration:
    """The content of the file that the agent reads once.

    secret: lets the kernel in. link: the agent's link id.
    message_session: the Jupyter message session of the interpreter's messages.
    magics: the help of the kernel's magics by name.
    options: words for the interpreter's command line, such as `--InteractiveShell.colors=Linux`.
    wheels: the directory with the packages that the kernel has sent; None without.
    """

    TYPE: ClassVar[str] = "configuration"

    secret: str = field(repr=False)
    link: str
    message_session: str
    magics: dict[str, str]
    options: tuple[str, ...] = ()
    wheels: str | None = None
