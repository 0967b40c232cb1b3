"""A separate kernel for each test that ends a part of it."""

from tests.kernel.conftest import own_kernel

__all__ = ["own_kernel"]
