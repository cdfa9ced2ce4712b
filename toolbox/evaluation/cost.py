"""What restoring takes: time, and the most memory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

PROCESS = Path("/proc/self")


@dataclass
class Cost:
    """Filled in when the block that is measured ends."""

    seconds: float = 0.0
    peak_memory: int | None = None  # bytes: of the device, or of the whole process; None where nobody tells


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Measure a block that computes on ``device``."""
    cost = Cost()
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    else:
        with suppress(OSError):  # Linux: let the record of the process's peak start again
            (PROCESS / "clear_refs").write_text("5")
    started = time.perf_counter()
    yield cost
    if on_gpu:
        torch.cuda.synchronize(device)
    cost.seconds = time.perf_counter() - started
    cost.peak_memory = torch.cuda.max_memory_allocated(device) if on_gpu else _peak_of_process()


def _peak_of_process() -> int | None:
    with suppress(OSError):
        if peak := re.search(r"VmHWM:\s*(\d+) kB", (PROCESS / "status").read_text()):
            return 1024 * int(peak[1])
    return None
