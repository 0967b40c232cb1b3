"""The agent as one file that a sandbox's Python can run.

The archive holds the sources of `agent` and `wire`, and beside them their bytecode for the Python
that runs here: a sandbox with the same Python starts from that, any other compiles the sources.
Within the archive the package has a name of its own, so that it hides nothing in the sandbox.
"""

from __future__ import annotations

import io
import marshal
import zipfile
from functools import cache
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path

_PACKAGE = "daytona_agent"
_ROOT = Path(__file__).resolve().parent.parent
_MAIN = f"from {_PACKAGE}.agent.__main__ import main\n\nmain()\n"
# The bytecode is bound to its source by a hash that is not checked: a clock's time is not the same
# in two places. The eight bytes after these flags would be the hash.
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)


@cache
def agent_archive() -> bytes:
    """Return the archive, the same bytes at each call."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        out.writestr(zipfile.ZipInfo(f"{_PACKAGE}/__init__.py"), "")
        for folder in ("agent", "wire"):
            for source in sorted((_ROOT / folder).glob("*.py")):
                _add(out, source, f"{_PACKAGE}/{folder}/{source.stem}")
    return archive.getvalue()


def archive_name() -> str:
    """Return a file name that changes with the content."""
    return f"agent-{sha256(agent_archive()).hexdigest()[:16]}.pyz"


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    # The loader compiles once and keeps the result; a ZipInfo has a fixed time, so that the same
    # sources give the same archive.
    code = SourceFileLoader(name.replace("/", "."), str(source)).get_code(name.replace("/", "."))
    bytecode = MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code)
    for suffix, data in ((".py", source.read_bytes()), (".pyc", bytecode)):
        archive.writestr(zipfile.ZipInfo(name + suffix), data, zipfile.ZIP_DEFLATED)
