"""The labels that kernels put on the sandboxes that they create. `daytona-kernel sandboxes` finds them."""

LABEL = "daytona-kernel"
HOST_LABEL = "daytona-kernel/host"
NOTEBOOK_LABEL = "daytona-kernel/notebook"
# Differs for each process of a kernel.
KERNEL_LABEL = "daytona-kernel/kernel"
