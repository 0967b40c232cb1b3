"""The part of the kernel on the API thread's event loop.

It owns the sandbox, the magics, the comms of the log views, and the handover to the next kernel. Its thread
starts before the kernel does, so that the sandbox is created while the rest of the program is imported.

This file imports nothing: `host.handover` is read before the rest of the program is imported.
"""
