"""What of a project is copied: by the rules of `.gitignore` and `.daytonaignore`, and by lists.

No I/O. These decide, the first that knows a place: the names that the person has given, the list of secrets,
`.daytonaignore`, `.gitignore`, and a list of what no copy needs. A file in a deeper folder comes first.
A `.daytonaignore` may be part of a stranger's project, so it cannot let secrets out.
"""

from __future__ import annotations

import posixpath
from enum import Enum
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from collections.abc import Collection

GIT_FILE, OWN_FILE = ".gitignore", ".daytonaignore"

# What other programs make again, or what is useless elsewhere.
_DEFAULTS = """
.git/ .hg/ .svn/ .jj/
__pycache__/ *.py[co] .ipynb_checkpoints/ node_modules/
.venv/ .tox/ .nox/ .direnv/ .mypy_cache/ .pytest_cache/ .ruff_cache/ .hypothesis/
.DS_Store Thumbs.db
.daytona-sync-* .daytona-download-*
"""
# Names under which programs keep passwords, keys and tokens.
_SECRETS = """
.env .env.* !.env.example !.env.sample !.env.template !.env.dist .envrc
*.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.ppk *.asc
id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk
.netrc _netrc .pypirc .npmrc .git-credentials .pgpass .my.cnf .htpasswd .s3cfg .boto
credentials credentials.json client_secret*.json service-account*.json service_account*.json
secrets.toml secrets.json secrets.yaml secrets.yml
.aws/ .azure/ .config/gcloud/ .docker/ .gnupg/ .kube/ .ssh/
"""


class Verdict(Enum):
    """What becomes of a file or folder."""

    COPIED = "copied"
    IGNORED = "ignored"
    SECRET = "secret"  # noqa: S105  # the name of a verdict


class Rules:
    """The rules of one project.

    named: the places that the person has named. Each is copied, whatever else holds.
    """

    def __init__(self) -> None:
        self.named: frozenset[str] = frozenset()
        self._defaults = GitIgnoreSpec.from_lines(_DEFAULTS.split())
        self._secrets = GitIgnoreSpec.from_lines(_SECRETS.split())
        # The rules of the files with a name, by the place of their folder.
        self._files: dict[str, dict[str, GitIgnoreSpec]] = {GIT_FILE: {}, OWN_FILE: {}}
        self._known: dict[tuple[str, bool], Verdict] = {}

    def name(self, places: Collection[str]) -> None:
        """Add places that the person has named."""
        if not self.named.issuperset(places):
            self.named |= frozenset(places)
            self._known.clear()

    def set_file(self, folder: str, name: str, text: str | None) -> None:
        """Use the text of an ignore file in a folder, which "" is the project's own; None without a file."""
        if text is None and folder not in self._files[name]:
            return
        if text is None:
            del self._files[name][folder]
        else:
            # pathspec takes `x/**` for the folder x itself, too; git only for what is in it.
            lines = (f"{line}/*" if line.endswith("/**") else line for line in text.splitlines())
            self._files[name][folder] = GitIgnoreSpec.from_lines(lines)
        self._known.clear()

    def verdict(self, place: str, *, is_folder: bool) -> Verdict:
        """Return what becomes of an entry whose folder is copied."""
        key = (place, is_folder)
        if key not in self._known:
            self._known[key] = self._decide(place, is_folder=is_folder)
        return self._known[key]

    def verdict_below(self, place: str, *, is_folder: bool) -> Verdict:
        """Return what becomes of an entry, also if one of the folders above it is left out."""
        if place in self.named:
            return Verdict.COPIED
        steps = place.split("/")
        for count in range(1, len(steps)):
            above = self.verdict("/".join(steps[:count]), is_folder=True)
            if above is not Verdict.COPIED:
                return above
        return self.verdict(place, is_folder=is_folder)

    def _decide(self, place: str, *, is_folder: bool) -> Verdict:
        if place in self.named:
            return Verdict.COPIED
        path = f"{place}/" if is_folder else place
        if self._secrets.check_file(posixpath.basename(place) + "/" * is_folder).include or (
            self._secrets.check_file(path).include
        ):
            return Verdict.SECRET
        if any(place.startswith(f"{name}/") for name in self.named):
            return Verdict.COPIED
        for name in (OWN_FILE, GIT_FILE):
            if (decided := self._by_file(self._files[name], path)) is not None:
                return Verdict.IGNORED if decided else Verdict.COPIED
        return Verdict.IGNORED if self._defaults.check_file(path).include else Verdict.COPIED

    @staticmethod
    def _by_file(files: dict[str, GitIgnoreSpec], path: str) -> bool | None:
        """Return whether the ignore files say that a path is left out; None if they do not say."""
        if not files:
            return None
        folder = path.rstrip("/")
        while folder:
            folder = posixpath.dirname(folder)
            if (rules := files.get(folder)) is not None:
                decided = rules.check_file(path[len(folder) + 1 :] if folder else path).include
                if decided is not None:
                    return decided
        return None
