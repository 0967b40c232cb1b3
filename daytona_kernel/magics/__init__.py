"""The kernel's magics: `%sh`, `%session`, `%upload` and the others that run in the kernel's process.

To add a magic, write one class in one file (`local.py` is a short model), decorate its methods
with `magic` and `cell_magic`, and list the class in `declarations.py`. Help, error messages,
completion and the table of docs/magics.md follow from the declaration.
"""
