"""Every bound of the embedded server, in one place."""

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

MINUTE = 60.0  # seconds; the unit of the auto-stop and auto-delete intervals

# What a client may ask for.
BODY_BYTES = 64 * MIB  # a JSON request
UPLOAD_BYTES = 16 * GIB  # a multipart upload, which is streamed to its file
HEADER_BYTES = 64 * KIB
SANDBOXES = 64
SESSIONS = 256  # in a sandbox
COMMANDS = 10_000  # in a session
TERMINALS = 64  # in a sandbox
INTERPRETERS = 32  # in a sandbox
SOCKETS = 2048  # open connections to the server
TUNNELS = 512  # open connections through a port proxy

# What a child may print.
LOG_BYTES = 256 * MIB  # a session command's log
RESULT_BYTES = 64 * MIB  # the answer of an execute or a code-run
TERMINAL_REPLAY_BYTES = 256 * KIB  # what a terminal shows to who attaches later

# How output moves.
PIPE_BYTES = MIB
READ_BYTES = MIB
FRAME_BYTES = 60 * KIB  # the synchronous SDK's websocket reads 64 KiB at a time
FILE_CHUNK_BYTES = 256 * KIB

# Seconds.
TERMINATE_GRACE = 5.0  # between SIGTERM and SIGKILL when a session is deleted
LEASE_GRACE = 5.0  # without a lease before the embedded server ends
FIRST_LEASE_GRACE = 10.0
SPARE_DELAY = 3.0  # after a sandbox was created, before the next one is prepared: not in its way
SUPERVISOR_START = 20.0  # for the first process of a sandbox to report

# What one isolated sandbox may use; names are those of the `resource` module.
RESOURCE_LIMITS = {
    "NPROC": 4096,
    "NOFILE": 8192,
    "FSIZE": 16 * GIB,
    "CORE": 0,
}
MEMORY_FRACTION = 0.9  # of the machine's memory, as private memory of one process, unless less was asked
