"""The settings of a launcher's card: options of `install`, and a variable in the kernelspec.

Jupyter replaces `$NAME` in a kernelspec's variables, so no dollar sign is written there.
"""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .errors import SettingError
from .settings.combinations import combine
from .settings.declaration import Declaration, Origin
from .settings.resolution import KERNELSPEC_VARIABLE, Found
from .settings.sandbox import SANDBOX
from .settings.table import TABLE, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTINGS = tuple(each for each in SANDBOX if Origin.KERNELSPEC in each.origins)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for each setting of a sandbox."""
    group = parser.add_argument_group("the sandboxes of these kernels")
    for setting in SETTINGS:
        option, help_ = option_of(setting), setting.help
        if setting.placeholder is None:
            group.add_argument(option, action="store_true", help=help_)
        elif setting.kind.split is None:
            convert = _checked(setting, setting.kind.from_text)
            group.add_argument(option, metavar=setting.placeholder, type=convert, help=help_)
        else:
            group.add_argument(
                option,
                metavar=setting.placeholder,
                action="append",
                type=_checked(setting, setting.kind.check_piece),
                help=f"{help_}; can be repeated",
            )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that a command's options give, by name. Raises SettingError for combinations."""
    values = {}
    for setting in SETTINGS:
        value = getattr(arguments, option_of(setting).removeprefix("--").replace("-", "_"))
        if value is not None and value is not False:
            values[setting.name] = value if setting.kind.split is None else setting.kind.from_pieces(value)
    combine(
        {
            each.name: Found(each, values[each.name], Origin.KERNELSPEC)
            for each in SETTINGS
            if each.name in values
        }
    )
    return values


def encode(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings as a variable for a kernelspec; nothing for no settings."""
    text = json.dumps(values).replace("$", "\\u0024")
    return {KERNELSPEC_VARIABLE: text} if values else {}


def decode(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings in a kernelspec's variables by name, without those that cannot be read."""
    found = {}
    with suppress(ValueError, AttributeError):
        for name, value in json.loads(variables.get(KERNELSPEC_VARIABLE, "{}")).items():
            with suppress(SettingError):
                found[name] = check(name, value, Origin.KERNELSPEC)
    return found


def describe(values: Mapping[str, Any]) -> str:
    """Return settings for a person: "cpu 8, image python:3.13"."""
    return ", ".join(f"{name} {TABLE[name].kind.show(value)}" for name, value in values.items())


def words(values: Mapping[str, Any]) -> list[str]:
    """Return the options of `install` that give these settings."""
    found = []
    for name, value in values.items():
        option = option_of(TABLE[name])
        if isinstance(value, bool):
            found += [option] if value else []
        elif isinstance(value, dict):
            found += [f"{option}={each}={text}" for each, text in value.items()]
        else:
            found += [f"{option}={each}" for each in (value if isinstance(value, list) else [value])]
    return found


def option_of(setting: Declaration) -> str:
    """Return the option of `install`, whose `--env` is for the kernel itself."""
    return "--sandbox-env" if setting.name == "env" else f"--{setting.option}"


def _checked(setting: Declaration, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {setting.kind.help}") from None

    return converted
