"""The values in force: for each setting, that of the first place that has one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from . import notebook, user_file
from .declaration import Declaration, Origin
from .machine import SERVER
from .sandbox import SANDBOX
from .table import TABLE, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# What `daytona-kernel install` writes into a kernelspec's `env`: a JSON object of settings by name.
KERNELSPEC_VARIABLE = "DAYTONA_KERNEL_SPEC"


@dataclass(frozen=True)
class Found:
    """A value of a setting, and the place that it comes from."""

    declaration: Declaration
    value: Any
    origin: Origin

    @property
    def name(self) -> str:
        """The setting's name."""
        return self.declaration.name

    @property
    def source(self) -> str:
        """The place for a person: the name of an environment variable, or the origin."""
        return self.declaration.variable if self.origin is Origin.ENVIRONMENT else self.origin.value

    @property
    def shown(self) -> str:
        """The value for a person."""
        return "…" if self.declaration.private else self.declaration.kind.show(self.value)


def process_settings(
    declarations: Iterable[Declaration], environ: Mapping[str, str] = os.environ
) -> dict[str, Found]:
    """Return the values of settings of the person's process, by name. Raises SettingError.

    They come from the environment or the user's file.
    """
    values = user_file.read(user_file.path(environ))
    return {each.name: each for each in _in_process(declarations, environ, values)}


def find(name: str, environ: Mapping[str, str] = os.environ) -> Found | None:
    """Return such a value, or None. Raises SettingError."""
    return process_settings([TABLE[name]], environ).get(name)


def value(name: str, environ: Mapping[str, str] = os.environ, *, strict: Any = None) -> Any:
    """Return the value of a setting of the person's process, or None.

    strict: the value if the setting or the user's file cannot be read, which the next cell says.
    """
    try:
        found = find(name, environ)
    except SettingError:
        return strict
    return None if found is None else found.value


def sandbox_settings(options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> dict[str, Found]:
    """Return the settings for a new sandbox, by name, those with a value. Raises SettingError.

    options: the values of a magic's options by the settings' names, those that are given.
    """
    found = process_settings(SANDBOX, environ)
    places = (
        (Origin.KERNELSPEC, _kernelspec(environ)),
        (Origin.NOTEBOOK, notebook.read(environ.get(notebook.FILE_VARIABLE, ""))),
        (Origin.OPTION, options),
    )
    for origin, values in places:
        for name, each in values.items():
            found[name] = Found(TABLE[name], each, origin)
    return found


def process_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the settings of the user's file that the embedded server needs, as environment variables.

    Raises SettingError.
    """
    values = user_file.read(user_file.path(environ))
    needed = [each for each in SERVER if each.name in values and not environ.get(each.variable)]
    return {each.variable: values[each.name] for each in needed}


def _in_process(
    declarations: Iterable[Declaration], environ: Mapping[str, str], values: Mapping[str, Any]
) -> Iterator[Found]:
    """Yield the values in the environment, and those in `values`, which come from the user's file."""
    for each in declarations:
        if text := environ.get(each.variable, "").strip():
            yield Found(each, _from_environment(each, text), Origin.ENVIRONMENT)
        elif each.name in values:
            yield Found(each, values[each.name], Origin.FILE)


def _from_environment(declaration: Declaration, text: str) -> Any:
    try:
        return declaration.kind.from_text(text)
    except ValueError:
        shown = "" if declaration.private or declaration.kind.split else f", not {text!r}"
        raise SettingError(
            f"The environment variable {declaration.variable} takes {declaration.kind.help}{shown}. No "
            "sandbox was created. Set it to another value where Jupyter runs, then start Jupyter again."
        ) from None


def _kernelspec(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that `daytona-kernel install` has written into this kernel's kernelspec."""
    text = environ.get(KERNELSPEC_VARIABLE)
    if not text:
        return {}
    try:
        values = {name: check(name, each, Origin.KERNELSPEC) for name, each in json.loads(text).items()}
    except (ValueError, AttributeError):
        raise SettingError(
            f"{KERNELSPEC_VARIABLE} in the kernelspec is not a JSON object. Run `daytona-kernel install` "
            "again."
        ) from None
    except SettingError as error:
        raise SettingError(
            f"In the kernelspec, {error.message}. Run `daytona-kernel install` again, with another value."
        ) from None
    return values
