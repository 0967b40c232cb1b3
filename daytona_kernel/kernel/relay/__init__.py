"""The part of the kernel on the shell channel's event loop.

It passes messages between front ends and the interpreter, and answers for the interpreter when there is
none. Nothing here may block or wait for the API thread's loop, because all outputs pass through this loop.
"""
