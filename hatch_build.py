"""The package's page on the index, for the build: README with absolute links, and the project's addresses.

README's links and pictures are relative, so that they work in a checkout and in a repository's pages. The
index has only the text. The repository's address is written in one place, `repository` in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")
_SOURCE = re.compile(r'(<img\b[^>]*\bsrc=")(?![a-z]+:)([^"]+)')
_VERSION = re.compile(r'__version__ = "(.+)"')


class PackagePage(MetadataHookInterface):
    """Add `readme` and `urls` to the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the two fields. Without an address, the links stay relative."""
        root = Path(self.root)
        text = (root / "README.md").read_text(encoding="utf-8")
        repository = self.config["repository"].rstrip("/")
        metadata["urls"] = {"Daytona": "https://www.daytona.io/docs/"}
        if repository:
            match = _VERSION.search((root / "daytona_kernel/_version.py").read_text(encoding="utf-8"))
            assert match is not None
            tag = f"v{match[1]}"
            text = absolute(text, f"{repository}/blob/{tag}", f"{repository}/raw/{tag}")
            metadata["urls"] |= {
                "Source": repository,
                "Documentation": f"{repository}/blob/{tag}/docs/howto.md",
                "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute(text: str, pages: str, files: str) -> str:
    """Return Markdown with absolute links. pages, files: where the repository's pages and raw files are."""
    text = _SOURCE.sub(rf"\g<1>{files}/\g<2>", text)
    return _LINK.sub(lambda link: f"{link[1]}{link[2]}({files if link[1] else pages}/{link[3]})", text)
