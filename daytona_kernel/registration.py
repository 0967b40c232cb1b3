"""The commands that register the kernel with a Jupyter: install, list and uninstall."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import card_settings, jupyter_environments, kernelspecs
from .errors import SettingError
from .formatting import format_columns

if TYPE_CHECKING:
    import argparse


def install(arguments: argparse.Namespace) -> int:
    """Write a kernelspec, with the options of `install`; return the exit status."""
    from .doctor import lacks

    try:
        settings = card_settings.given(arguments)
        written = kernelspecs.install(
            name=arguments.name,
            display_name=arguments.display_name,
            env=dict(arguments.env),
            settings=settings,
            user=arguments.user,
            prefix=arguments.prefix,
        )
    except SettingError as error:
        print(error.message, file=sys.stderr)
        return 1
    except kernelspecs.KernelspecError as error:
        print(error, file=sys.stderr)
        return 1
    where = f" --prefix {shlex.quote(arguments.prefix)}" if arguments.prefix else ""
    print(f"Installed {written.spec['display_name']!r} in {written.directory}")
    print(f"To remove it, run: daytona-kernel uninstall --name {written.name}{where}")
    for each in jupyter_environments.find([written.prefix]):
        if each.sees(written) and (missing := each.missing_packages):
            print(f"Jupyter in {each.prefix} {lacks(each.prefix, missing)}.")
    return 0


def list_kernelspecs() -> int:
    """Print the kernelspecs of this kernel; return the exit status."""
    found = kernelspecs.find(each.prefix for each in jupyter_environments.find())
    if not found:
        print("Jupyter does not know the kernel here. To add it, run: daytona-kernel install")
        return 0
    rows = [
        (
            each.name,
            each.spec.get("display_name", ""),
            each.python or "Jupyter's",
            str(each.directory),
            card_settings.describe(each.settings),
        )
        for each in found
    ]
    print(format_columns([("NAME", "DISPLAY NAME", "PYTHON", "DIRECTORY", "SETTINGS"), *rows]))
    return 0


def uninstall(arguments: argparse.Namespace) -> int:
    """Remove kernelspecs that `install` wrote; return the exit status."""
    named = [Path(arguments.prefix)] if arguments.prefix else []
    found = kernelspecs.find([*named, *(each.prefix for each in jupyter_environments.find())])
    if arguments.name:
        chosen = [each for each in found if each.name == arguments.name.lower() and each.python]
    else:
        chosen = [each for each in found if each.is_own]
    if arguments.name and not chosen:
        print(f"`daytona-kernel install` has written no kernelspec {arguments.name} here.", file=sys.stderr)
        return 1
    if not chosen:
        print("`daytona-kernel install` of this environment has written no kernelspec that Jupyter finds.")
        print("To remove the package with its own kernelspec, run: pip uninstall daytona-kernel")
    try:
        for each in chosen:
            kernelspecs.remove(each)
            print(f"Removed {each.spec.get('display_name', each.name)!r} from {each.directory}")
    except kernelspecs.KernelspecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
