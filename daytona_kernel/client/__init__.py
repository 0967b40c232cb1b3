"""A client of Daytona's API: sandboxes, their processes, sessions, logs and files; sync and async."""
