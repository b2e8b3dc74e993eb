"""A full disk, for tests that run as root, too."""

import resource
from contextlib import contextmanager


@contextmanager
def file_size_limit(num_bytes):
    """Within it, a write beyond so many bytes of a file fails, even for root."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
