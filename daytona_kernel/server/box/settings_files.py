"""The settings of pip and npm in files of this machine, for files of a sandbox.

The files may carry credentials, so a setting is passed on by the rules for variables of the environment.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from .inherited import inherited_settings, without_local_indexes

if TYPE_CHECKING:
    from collections.abc import Iterator

# npm takes the prefix from here: /usr is read-only, and `.local/bin` is on PATH.
_NPM_DEFAULTS = {"prefix": "${HOME}/.local", "update-notifier": "false"}
_PIP_DEFAULTS = {"global": {"disable-pip-version-check": "true"}}


def pip_settings(*, isolated: bool) -> dict[str, dict[str, str]]:
    """Return the sections of a `pip.conf` with all settings of this machine that may be passed on."""
    merged = {section: dict(options) for section, options in _PIP_DEFAULTS.items()}
    for path in _pip_files():
        if not os.path.exists(path):
            continue
        import configparser  # most machines have no such file

        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # pip reports the error
        for section in parser.sections():
            for option, value in parser.items(section):
                name = option.replace("_", "-")
                for passed in _passed("PIP", name, value, isolated=isolated):
                    merged.setdefault(section, {})[name] = passed
    return merged


def npm_settings(*, isolated: bool) -> dict[str, str]:
    """Return the settings of this machine's npm that may be passed on, and where it installs programs."""
    merged = dict(_NPM_DEFAULTS)
    for path in _npm_files():
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            name, _, value = (part.strip() for part in line.partition("="))
            of_scope = name.startswith("@") and name.endswith(":registry")
            kind = "registry" if of_scope else name
            for passed in _passed("NPM_CONFIG", kind, value.strip("\"'"), isolated=isolated):
                merged[name] = passed
    return merged


def _passed(program: str, name: str, value: str, *, isolated: bool) -> list[str]:
    """Return the part of a setting's value that may be passed on, as a list; an empty list means nothing."""
    variable = f"{program}_{name.upper().replace('-', '_')}"
    passed = inherited_settings({variable: value})
    return list((without_local_indexes(passed) if isolated else passed).values())


def write_settings(directory: str, *, isolated: bool) -> None:
    """Write `pip.conf` and `npmrc` in the new Python environment `directory`."""
    lines = []
    for section, options in pip_settings(isolated=isolated).items():
        lines += [f"[{section}]", *(f"{option} = {value}" for option, value in options.items())]
    os.mkdir(f"{directory}/etc")
    with open(f"{directory}/pip.conf", "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))
    with open(f"{directory}/etc/npmrc", "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in npm_settings(isolated=isolated).items())


def settings_with_files() -> list[tuple[str, str]]:
    """Return the settings of isolated sandboxes that may name files, as variables of the environment."""
    of_pip = [item for options in pip_settings(isolated=True).values() for item in options.items()]
    pip = [(f"PIP_{option.upper().replace('-', '_')}", value) for option, value in of_pip]
    npm = [(f"NPM_{name.upper()}", value) for name, value in npm_settings(isolated=True).items()]
    return [*inherited_settings(os.environ).items(), *pip, *npm]


def _pip_files() -> Iterator[str]:
    """Yield the files that pip reads on this machine; a later one has precedence."""
    named = os.environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    system = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (f"{directory}/pip/pip.conf" for directory in reversed(system.split(":")) if directory)
    yield "/etc/pip.conf"
    home = os.path.expanduser("~")
    yield f"{home}/.pip/pip.conf"
    yield f"{os.environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/pip/pip.conf"
    yield f"{sys.prefix}/pip.conf"
    if named:
        yield named


def _npm_files() -> Iterator[str]:
    """Yield the files that npm reads on this machine; a later one has precedence."""
    yield "/etc/npmrc"
    node = shutil.which("node")
    if node:
        yield f"{os.path.dirname(os.path.dirname(os.path.realpath(node)))}/etc/npmrc"
    yield os.environ.get("NPM_CONFIG_USERCONFIG") or os.path.expanduser("~/.npmrc")
