"""Copies of files and folders between this machine and the sandbox."""
