"""What a hosted kernel must do on this machine, without pytest: GitHub runs it on macOS and on Windows.

It imports every module that a hosted kernel needs. Where the embedded server cannot run, it starts a kernel
without a key, and reads the first cell's advice.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.systems.lacking import names

ADVICE = "Set a key (DAYTONA_API_KEY)"


def main() -> None:
    """Run the checks; the first that fails ends the program with its traceback."""
    found = names()
    for name in found:
        importlib.import_module(name)
    sys.stdout.write(f"{len(found)} modules were imported on {sys.platform}.\n")
    if sys.platform == "linux":
        return
    from jupyter_client.manager import start_new_kernel

    for name in ("DAYTONA_API_KEY", "DAYTONA_API_URL", "DAYTONA_JWT_TOKEN"):
        os.environ.pop(name, None)
    manager, client = start_new_kernel(kernel_name="daytona", startup_timeout=120)
    try:
        reply = client.execute_interactive("1 + 1", timeout=120, output_hook=lambda _message: None)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    evalue = reply["content"].get("evalue", "")
    if ADVICE not in evalue:
        sys.exit(f"The first cell does not say what to do: {evalue!r}")
    sys.stdout.write(f"Without a key, the first cell says: {evalue}\n")


if __name__ == "__main__":
    main()
