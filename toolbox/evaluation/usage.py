"""Measure the cost of restoring: time, and memory beyond the memory used before."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from toolbox.heap import trim_heap

PROCESS = Path("/proc/self")


@dataclass
class Usage:
    """The measured cost, filled in when the measured block ends."""

    seconds: float = 0.0
    peak_memory: int | None = None  # bytes, of the GPU or of the process; None if the system does not say


@contextmanager
def measured(device: torch.device) -> Iterator[Usage]:
    """Measure a block that computes on ``device``."""
    cost = Usage()
    held = _start_peak(device)
    started = time.perf_counter()
    yield cost
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    cost.seconds = time.perf_counter() - started
    if held is not None:
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _of_process("VmHWM")
        cost.peak_memory = max(peak - held, 0)


def _start_peak(device: torch.device) -> int | None:
    """Reset the record of the peak; return the bytes in use now, or None if the system does not say."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if not trim_heap():  # free memory that the process still holds would hide the memory of the block
        return None
    try:
        (PROCESS / "clear_refs").write_text("5")
        return _of_process("VmRSS")
    except OSError:  # not Linux
        return None


def _of_process(key: str) -> int:
    found = re.search(rf"{key}:\s*(\d+) kB", (PROCESS / "status").read_text())
    return 1024 * int(found[1]) if found else 0
