"""The labels on sandboxes that kernels create. `daytona-kernel sandboxes` finds sandboxes by them."""

LABEL = "daytona-kernel"
HOST_LABEL = "daytona-kernel/host"
NOTEBOOK_LABEL = "daytona-kernel/notebook"
