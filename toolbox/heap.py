"""Giving free memory back to the operating system."""

from __future__ import annotations

import psutil


def trim_heap() -> bool:
    """Return what was freed to the system; False where the allocator cannot do that."""
    if not hasattr(psutil, "heap_trim"):  # on Linux, only glibc's allocator can
        return False
    psutil.heap_trim()
    return True
