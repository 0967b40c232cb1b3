"""The shell scripts that start, follow and end commands in the sandbox."""
