"""The reach of a command: what it touches. Each declaration of a magic states it, and the kernel acts on it.

Code in the sandbox can call every magic. So a command that touches more than the sandbox runs only where
the person wants it: see `kernel.host.permissions`.
"""

from __future__ import annotations

from enum import Enum


class Reach(Enum):
    """What a command touches. The value says it as the rest of a sentence: "The code wants to …"."""

    SANDBOX = "act in the sandbox"
    READ = "copy files of the notebook's machine into the sandbox"
    WRITE = "copy files of the sandbox to the notebook's machine"
    PUSH = "send files of the project into the sandbox"
    PULL = "bring files of the sandbox into the project on the notebook's machine"
    VARIABLES = "copy variables between %%local and the sandbox"
    LOCAL_CODE = "run code on the notebook's machine"
    ACCOUNT = "change a sandbox of the account"
    # A question for it could come from code that only looks like the kernel.
    SECRET = "ask you for a secret"  # noqa: S105  # the end of a sentence
    # A move ends the interpreter, so its magic must also be alone in its cell.
    MOVE = "replace the sandbox that the cells run in"

    @property
    def may_be_asked_for(self) -> bool:
        """Whether a person may allow it in answer to a question. Otherwise only a cell's text does."""
        return self not in (Reach.LOCAL_CODE, Reach.SECRET, Reach.MOVE)
