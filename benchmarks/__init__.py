"""Benchmarks: the kernel next to ipykernel, the client next to Daytona's SDK, and logs under load."""
