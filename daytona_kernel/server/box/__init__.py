"""Boxes: the directory, the isolation and the supervisor process of each started sandbox.

This code runs in the server, outside the sandbox's wall. The supervisor's own program is in `inside/`.
"""
