"""Files in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileInfo:
    """A file or folder in a sandbox.

    size: in bytes. mode: as `ls -l` prints it. permissions: an octal number.
    modified_at: in ISO 8601; None if unknown. path: None if unknown.
    """

    name: str
    is_dir: bool
    size: int
    mode: str = ""
    permissions: str = ""
    owner: str = ""
    group: str = ""
    modified_at: str | None = None
    path: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FileInfo:
        """Return a file's description from the JSON of Daytona's API."""
        return cls(
            name=data["name"],
            is_dir=bool(data.get("isDir")),
            size=int(data.get("size") or 0),
            mode=data.get("mode") or "",
            permissions=data.get("permissions") or "",
            owner=data.get("owner") or "",
            group=data.get("group") or "",
            modified_at=data.get("modifiedAt") or data.get("modTime"),
            path=data.get("path"),
        )


@dataclass(frozen=True)
class FileUpload:
    """A file to upload.

    source: its bytes, or the path of a local file. destination: its path in the sandbox.
    """

    source: bytes | str
    destination: str
