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
        _add(out, "__main__", _MAIN.encode())
        _add(out, f"{_PACKAGE}/__init__", b"")
        for folder in ("agent", "wire"):
            for source in sorted((_ROOT / folder).glob("*.py")):
                _add(out, f"{_PACKAGE}/{folder}/{source.stem}", source.read_bytes())
    return archive.getvalue()


def archive_name() -> str:
    """Return a file name that changes with the content."""
    return f"agent-{sha256(agent_archive()).hexdigest()[:16]}.pyz"


def _add(archive: zipfile.ZipFile, name: str, source: bytes) -> None:
    # A fixed time: the same sources give the same archive.
    code = compile(source, f"{name}.py", "exec", dont_inherit=True, optimize=0)
    bytecode = MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code)
    for suffix, data in ((".py", source), (".pyc", bytecode)):
        archive.writestr(zipfile.ZipInfo(name + suffix), data, zipfile.ZIP_DEFLATED)
