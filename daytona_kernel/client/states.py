"""The states of a sandbox, in the words of Daytona's API, by what becomes of its processes and files."""

# Its processes have ended or are ending, and its files are kept.
STOPPED = ("stopped", "stopping", "archived", "archiving")
DELETED = ("destroyed", "destroying")
# Its files are gone or out of reach for good.
GONE = (*DELETED, "error", "build_failed")
# The sandbox leaves these states by itself. Daytona refuses to start it until then.
PASSING = (
    *("creating", "restoring", "starting", "stopping", "archiving", "pending_build", "building_snapshot"),
    *("pulling_snapshot", "resizing", "snapshotting", "forking", "pausing", "resuming"),
)
