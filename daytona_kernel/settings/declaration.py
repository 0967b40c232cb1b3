"""The declaration of a setting, and the places that values come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

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


# The origins that settings have in common.
ALL = (Origin.OPTION, Origin.NOTEBOOK, Origin.KERNELSPEC, Origin.ENVIRONMENT, Origin.FILE)
# A notebook may be a stranger's. It decides nothing about the person's machine and account, nor about costs
# that go on.
PERSONS = (Origin.OPTION, Origin.KERNELSPEC, Origin.ENVIRONMENT, Origin.FILE)
PROCESS = (Origin.ENVIRONMENT, Origin.FILE)
VARIABLE = (Origin.ENVIRONMENT,)


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
