"""Faults of networks, processes, sandboxes and disks, and what the notebook says about them."""
