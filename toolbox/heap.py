"""Give free memory back to the operating system."""

from __future__ import annotations

import psutil


def trim_heap() -> bool:
    """Return freed memory to the system; False if the allocator cannot do that."""
    if not hasattr(psutil, "heap_trim"):  # on Linux, only glibc's allocator can
        return False
    psutil.heap_trim()
    return True
