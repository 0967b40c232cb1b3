"""The definitions that client, agent, server and kernel share: messages, framing, logs, routes.

It does no I/O and needs only the standard library, since it also travels into the sandbox.
"""
