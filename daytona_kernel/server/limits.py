"""Every bound and every waiting time of the embedded server."""

from __future__ import annotations

import os
from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

MEMORY_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # of this machine

# Requests.
BODY_BYTES = 64 * MIB  # of a JSON request
UPLOAD_BYTES = 16 * GIB  # of a multipart upload, which is streamed to its file
HEADER_BYTES = 64 * KIB
SANDBOXES = 64
SESSIONS = 256  # in a sandbox
COMMANDS = 10_000  # in a session
TERMINALS = 64  # in a sandbox
INTERPRETER_CONTEXTS = 32  # in a sandbox
SOCKETS = 2048  # open connections of clients that have shown the key
STRANGERS = 256  # open connections of clients that have not
STRANGER_SECONDS = 10.0  # until they must have shown it
IDLE_SECONDS = 120.0  # from one request of a connection to the next
TUNNELS = 512  # open connections through a port proxy

# Output of children.
LOG_BYTES = 256 * MIB  # of a session command
PARTIAL_LINE_BYTES = 16 * MIB  # of a line whose end a log of whole lines waits for
LOG_RESERVE_BYTES = 4 * MIB  # of memory, for the logs of a server whose disk is full
RESULT_BYTES = 64 * MIB  # of a one-off run
TERMINAL_REPLAY_BYTES = 256 * KIB  # the tail that a client sees when it attaches to a terminal

# Buffers.
PIPE_BYTES = MIB
READ_BYTES = MIB
FRAME_BYTES = 60 * KIB  # the synchronous SDK's websocket reads 64 KiB at a time
FILE_CHUNK_BYTES = 256 * KIB

# Resources of one isolated sandbox; the names are those of the `resource` module.
RESOURCE_LIMITS = {
    "NPROC": 4096,
    "NOFILE": 8192,
    "FSIZE": 16 * GIB,
    "CORE": 0,
}
RUN_BYTES = 16 * MIB  # of /run, which is in memory
SHARED_MEMORY_BYTES = MEMORY_BYTES // 4  # of /dev/shm
MEMORY_FRACTION = 0.9  # of the machine's memory: the most that one sandbox may use


def memory_bytes(memory: int) -> int:
    """Return the bytes that a sandbox with `memory` GiB may use."""
    return min(memory * GIB, int(MEMORY_BYTES * MEMORY_FRACTION))


SUPERVISOR_START_TIMEOUT = 20.0  # seconds until a supervisor must report
SUPERVISOR_ROUSE_TIMEOUT = 4.0  # seconds until a supervisor that has not started a child is continued
SUPERVISOR_ANSWER_TIMEOUT = 40.0  # seconds from then until it must have done so
NETWORK_START_TIMEOUT = 20.0  # seconds until a box's network must be connected
NETWORK_END_TIMEOUT = 2.0  # seconds from the end of a network stack's hold until it is killed
CONNECT_TIMEOUT = 10.0  # seconds for a connection to a port of a sandbox
SUPERVISOR_END_TIMEOUT = 20.0  # seconds until a supervisor that does not end is killed


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the server waits, in seconds. Tests pass shorter times."""

    minute: float = 60.0  # the unit of the auto-stop and auto-delete intervals
    terminate_grace: float = 5.0  # between SIGTERM and SIGKILL when a session is deleted
    lease_grace: float = 5.0  # without a lease until the embedded server ends
    first_lease_grace: float = 10.0  # from its start until its first lease
    stuck: float = 30.0  # until the watchdog ends a server whose event loop is blocked
    bytecode_delay: float = 20.0  # from the start of the server until it compiles packages
    warm_box_delay: float = 3.0  # from the creation of a sandbox until the next warm box starts
