"""Names and numbers on which client, agent and server agree."""

# The kernel's own sessions start with this. Users do not see them; ending the interpreter deletes its own.
SESSION_PREFIX = "daytona-kernel-"

# The ports of a sandbox that Daytona's previews serve.
PREVIEW_PORTS = range(3000, 10000)

# The environment variables that say how the embedded server keeps its sandboxes apart from this machine.
ISOLATION_VARIABLE = "DAYTONA_KERNEL_ISOLATION"
NETWORK_VARIABLE = "DAYTONA_KERNEL_NETWORK"
# The directories with root file systems of which it makes sandboxes.
LOCAL_SNAPSHOTS_VARIABLE = "DAYTONA_KERNEL_LOCAL_SNAPSHOTS"

# The environment variable that says which server's behavior the embedded server has.
PROFILE_VARIABLE = "DAYTONA_KERNEL_PROFILE"

# `code_run` prints each chart as a line of stdout: this mark and the chart as JSON.
ARTIFACT_MARK = "dtn_artifact_k39fd2:"

# The kernel's request to the interpreter, on `shell`, to run cells again after an error.
RESUME_TYPE = "daytona_resume_request"
# A file system in memory that every Linux has. The agent goes there when the sandbox's disk is full.
MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108  # private directories are made in it
