"""The person's project: a folder of this machine with a copy in the sandbox."""
