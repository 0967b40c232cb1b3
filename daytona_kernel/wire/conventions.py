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
# JavaScript in front of the user's, on the same line: node counts "-" or the file's name as an argument.
OWN_ARGUMENTS = "process.argv.splice(1, 1); "
# Bash that runs TypeScript from stdin. ts-node takes its first argument for a file, so the code must be one.
# It works with typescript 5, and not with 7.
RUN_TYPESCRIPT = """\
directory=$(mktemp -d) && cat > "$directory/code.ts"
run=(npx --yes --prefer-offline --package=typescript@5 --package=ts-node -- ts-node)
command -v ts-node > /dev/null && run=(ts-node)
"${run[@]}" -T -O '{"module":"CommonJS"}' "$directory/code.ts" "$@"
status=$?
rm -rf "$directory"
exit $status
"""

# The kernel's request to the interpreter, on `shell`, to run cells again after an error.
RESUME_TYPE = "daytona_resume_request"
# The kernel's request to the interpreter, on `shell`, to have the environment variables that it gives.
ENVIRONMENT_TYPE = "daytona_environment_request"
# A key in the header of each request that the kernel sends to the interpreter for itself. Its value is true.
OWN_KEY = "daytona_own"
# A file system in memory that every Linux has. The agent goes there when the sandbox's disk is full.
MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108  # private directories are made in it

# The modes of a mounted folder. A volume that is one has the id `MODE:FOLDER`.
READ_WRITE, READ_ONLY = "mount", "mount-ro"
