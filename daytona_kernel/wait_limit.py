"""The limit of this process's waits for a server that does not answer.

Each wait has its own bound, from seconds to half an hour. A program that executes notebooks may want an error
sooner: DAYTONA_KERNEL_WAIT_LIMIT shortens all longer bounds to its seconds.
"""

from __future__ import annotations

import math
import os

VARIABLE = "DAYTONA_KERNEL_WAIT_LIMIT"


def limited(seconds: float) -> float:
    """Return a bound in seconds, or the person's limit if that is shorter. A wrong value counts as none."""
    try:
        limit = float(os.environ.get(VARIABLE, "inf"))
    except ValueError:
        return seconds
    return seconds if math.isnan(limit) or limit <= 0 else min(seconds, limit)
