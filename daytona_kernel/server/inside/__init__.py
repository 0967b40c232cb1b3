"""Programs that run inside a sandbox.

They import the standard library only, and nothing of this package: a sandbox's Python may have no other
modules, and each program is copied or piped into the sandbox as one file. The exception is
`charts_backend`, which also imports matplotlib: only code that has imported matplotlib loads it.
"""
