"""The process that Jupyter starts. It does not run the user's code: cells run in a Daytona sandbox.

The process has three event loops, so that none of them waits for the others: the shell channel's loop
(`relay/`), the API thread's loop (`host/`), and the control channel's loop, which answers Jupyter's own
requests (`kernel.py`). The files of `out/` may be used from each of them.

This file imports nothing: `host.handover` is read before the rest of the program is imported.
"""
