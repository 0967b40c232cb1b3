"""The program that runs inside the sandbox: it starts ipykernel and carries its messages.

The kernel sends it there as one archive (see `interpreter.bundle`). It uses only the standard library and
packages that ipykernel installs. Its imports are relative, because the package has another name in the
archive: in the sandbox, `import daytona_kernel` must find only what the user installed.
"""
