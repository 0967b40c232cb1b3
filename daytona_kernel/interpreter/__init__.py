"""The persistent interpreter from the kernel's side: its start, its connection, its requests."""
