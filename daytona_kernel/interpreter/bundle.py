"""The agent as one file that a sandbox's Python can run.

The archive has the sources of `agent` and `wire`, and their bytecode for the Python that runs here. A
sandbox with the same Python uses the bytecode; any other compiles the sources. In the archive the package
has another name, so that it hides no package in the sandbox.
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
# Any Python that is called python3 runs this, so it uses nothing that is new.
_MAIN = f"""import sys

if sys.version_info < (3, 10):
    import json

    print(json.dumps({{"error": (
        "The sandbox's Python is %d.%d (%s), and cells need Python 3.10 or newer there. "
        "%%sandbox new --snapshot NAME moves to another sandbox; shell magics such as %%sh work in this one."
    ) % (sys.version_info[0], sys.version_info[1], sys.executable)}}))
    sys.exit(1)

from {_PACKAGE}.agent.__main__ import main

main()
"""
# The flags say that the bytecode belongs to its source by a hash, and that Python need not check it. A
# modification time would differ between machines. The eight bytes after the flags are the place of the hash.
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)

# Each start of a kernel compresses the files. A higher level takes twice as long for a twentieth of the size.
_LEVEL = 1


@cache
def agent_archive() -> bytes:
    """Return the archive. The same sources give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        out.writestr(zipfile.ZipInfo(f"{_PACKAGE}/__init__.py"), "")
        for folder in ("agent", "wire"):
            for source in sorted((_ROOT / folder).glob("*.py")):
                _add(out, source, f"{_PACKAGE}/{folder}/{source.stem}")
        for data in sorted((_ROOT / "agent").glob("*.txt")):
            name = zipfile.ZipInfo(f"{_PACKAGE}/agent/{data.name}")
            out.writestr(name, data.read_bytes(), zipfile.ZIP_DEFLATED, _LEVEL)
    return archive.getvalue()


def archive_name() -> str:
    """Return a file name that changes with the content."""
    return f"agent-{sha256(agent_archive()).hexdigest()[:16]}.pyz"


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    # The loader caches the compiled code. A ZipInfo has a fixed time, so that the archive does not vary.
    code = SourceFileLoader(name.replace("/", "."), str(source)).get_code(name.replace("/", "."))
    bytecode = MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code)
    for suffix, data in ((".py", source.read_bytes()), (".pyc", bytecode)):
        archive.writestr(zipfile.ZipInfo(name + suffix), data, zipfile.ZIP_DEFLATED, _LEVEL)
