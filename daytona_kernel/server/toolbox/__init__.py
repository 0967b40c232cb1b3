"""Sandboxes and what they offer: sessions, terminals, interpreter contexts, one-off runs and files.

This code runs in the server. It knows nothing of HTTP, and starts children through `box/`.
"""
