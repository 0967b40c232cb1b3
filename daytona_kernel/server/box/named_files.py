"""The files that inherited settings name and that a sandbox may see: certificates, constraints and wheels.

A setting can name any file and any directory. A sandbox sees a file only if the file has the type that the
setting needs.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .file_secrets import holds_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_CERTIFICATES = re.compile(r".*(?:CERT|CA_BUNDLE|CAINFO|CA_CERTS|CAFILE).*")
_CONSTRAINTS = re.compile(r".*CONSTRAINT")
_WHEELS = re.compile(r".*FIND_LINKS")
_DISTRIBUTION = re.compile(r"[^.].*\.(?:whl|tar\.gz|tgz|tar\.bz2|zip|metadata)")
_FILE_BYTES = 4 << 20
_FILES = 50  # mounts for one directory


def shown_files(settings: Iterable[tuple[str, str]], seen: Sequence[str] = ()) -> list[str]:
    """Return the paths that `settings` name and that may be shown. They are names and values of variables.

    Paths in the directories `seen` are left out.
    """
    found: set[str] = set()
    for name, value in settings:
        if _CERTIFICATES.fullmatch(name):
            found.update(each for path in _paths([value], seen) for each in _certificates(path))
        elif _CONSTRAINTS.fullmatch(name):
            found.update(path for path in _paths(value.split(), seen) if _is_text_without_secrets(path))
        elif _WHEELS.fullmatch(name):
            found.update(each for path in _paths(value.split(), seen) for each in _distributions(path))
    return sorted(found)


def _paths(words: list[str], seen: Sequence[str]) -> list[str]:
    """Return the absolute paths among paths and URLs, without those in the directories `seen`."""
    paths = (os.path.normpath(word.removeprefix("file://")) for word in words)
    inside = tuple(f"{directory}/" for directory in seen)
    return [path for path in paths if os.path.isabs(path) and not f"{path}/".startswith(inside)]


def _certificates(path: str) -> list[str]:
    """Return the file of certificates, or those in the directory."""
    if os.path.isdir(path):
        return _all_or_each(path, _is_certificate)
    return [path] if _is_certificate(path) else []


def _distributions(path: str) -> list[str]:
    return _all_or_each(path, _is_distribution)


def _all_or_each(directory: str, is_good: Callable[[str], bool]) -> list[str]:
    """Return `directory` if all files in it are good, or else the good ones."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    paths = [os.path.join(directory, name) for name in sorted(names)]
    good = [path for path in paths if os.path.isfile(path) and is_good(path)]
    return [directory] if len(good) == len(paths) else good[:_FILES]


def _is_distribution(path: str) -> bool:
    return _DISTRIBUTION.fullmatch(os.path.basename(path)) is not None


def _is_certificate(path: str) -> bool:
    return _is_text_without_secrets(path, must_have=b"CERTIFICATE-----")


def _is_text_without_secrets(path: str, *, must_have: bytes = b"") -> bool:
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _FILE_BYTES:
            return False
        with open(path, "rb") as file:
            content = file.read(_FILE_BYTES)
    except OSError:
        return False
    return must_have in content and b"\0" not in content and not holds_secret(content)
