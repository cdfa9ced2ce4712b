"""The load of the machine: how OpenMP's threads wait, and how many cores other programs leave free.

This module imports no PyTorch, because OpenMP reads its settings when PyTorch loads it.
"""

from __future__ import annotations

import os
import time

import psutil

WAITING = "OMP_WAIT_POLICY"
# How the threads of OpenMP wait for one another, in the words of GNU, LLVM and Intel.
WAIT_SETTINGS = (WAITING, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
SHORTEST = 0.1  # seconds to look at; the system counts hundredths


def wait_asleep() -> None:
    """Let the threads of OpenMP sleep while they wait, unless the user chose something else; call it before PyTorch.

    By default they spin. On a busy machine each of them then takes the core that another one needs.
    """
    if not any(name in os.environ for name in WAIT_SETTINGS):
        os.environ[WAITING] = "PASSIVE"


class Load:
    """The load by other programs, from its creation on."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.monotonic(), _busy(), time.process_time()

    def free_cores(self) -> int:
        """The cores that other programs left free until now, at least one."""
        time.sleep(max(0.0, self._started + SHORTEST - time.monotonic()))
        elapsed = time.monotonic() - self._started
        others = (_busy() - self._busy - (time.process_time() - self._own)) / elapsed
        return max(1, round(_cores() - max(0.0, others)))


def threads_for(load: Load) -> int | None:
    """The threads to use: one for each free core, or None if the user set their number in the environment."""
    return None if any(name in os.environ for name in COUNTS) else load.free_cores()


def _busy() -> float:
    """The seconds that all cores together have worked since the machine started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
