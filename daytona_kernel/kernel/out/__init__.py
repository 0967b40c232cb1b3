"""The way out to front ends. Each function may be called from any thread.

A message is handed to the event loop that owns its socket: the shell channel's loop for iopub, shell and
stdin, the control channel's loop for control.
"""
