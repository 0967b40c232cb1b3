"""A Jupyter kernel for Daytona sandboxes, and the Process API as a library."""
