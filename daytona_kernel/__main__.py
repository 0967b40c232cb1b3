"""`python -m daytona_kernel -f {connection_file}`: what Jupyter starts."""

from __future__ import annotations

from .kernel.kernel import main

main()
