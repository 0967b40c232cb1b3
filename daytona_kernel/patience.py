"""The patience of this process: how long it waits for a server that does not answer.

Each wait has a bound of its own, from seconds to half an hour. A program that executes notebooks may want an
error sooner: DAYTONA_KERNEL_PATIENCE shortens all longer bounds to its seconds.
"""

from __future__ import annotations

import math
import os

VARIABLE = "DAYTONA_KERNEL_PATIENCE"


def patience(seconds: float) -> float:
    """Return a bound in seconds, or the person's if that is shorter. A wrong value counts as none."""
    try:
        given = float(os.environ.get(VARIABLE, "inf"))
    except ValueError:
        return seconds
    return seconds if math.isnan(given) or given <= 0 else min(seconds, given)
