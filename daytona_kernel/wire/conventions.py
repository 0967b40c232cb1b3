"""Names and numbers on which client, agent and server agree."""

# The kernel's own sessions start with this. Users do not see them; ending the interpreter deletes its own.
SESSION_PREFIX = "daytona-kernel-"

# The ports of a sandbox that Daytona's previews serve.
PREVIEW_PORTS = range(3000, 10000)
