"""The import path of this project's processes on the person's machine.

Jupyter starts a kernel in the notebook's folder. `python -m` and the relative entries of PYTHONPATH put that
folder in front of the packages, so that a folder from a stranger could run its own `json.py` on this machine.
`python -P` prevents the first, but kernelspecs of earlier versions lack it.

This module may be the first that a program imports, so it imports only what Python has already imported.
"""

import os
import sys

_VARIABLE = "PYTHONPATH"


def leave_out_current_directory() -> None:
    """Remove the entries that depend on the current directory, for this process and its children.

    A program calls this before it imports anything from the standard library, even `__future__`.
    """
    if not sys.flags.safe_path:
        del sys.path[0]  # the current directory: these programs are started with `-m`
    named = os.environ.get(_VARIABLE)
    if named:
        entries = named.split(os.pathsep)
        os.environ[_VARIABLE] = os.pathsep.join(entry for entry in entries if os.path.isabs(entry))
        relative = {os.path.abspath(entry) for entry in entries if not os.path.isabs(entry)}
        sys.path[:] = [entry for entry in sys.path if entry not in relative]
