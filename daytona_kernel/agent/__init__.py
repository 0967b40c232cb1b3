"""The program that runs inside the sandbox: it starts ipykernel and carries its messages.

It is sent there as one archive (see `interpreter.bundle`) and uses nothing but the standard
library and what ipykernel itself installs. Imports within are relative, since the archive has
a name of its own: in the sandbox, `import daytona_kernel` must mean what the user installed.
"""
