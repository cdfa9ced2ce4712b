"""Time pieces of work against each other in one run.

A machine is shared and noisy, so absolute times mean little. The pieces take turns, each is timed several
times, and the results are medians, their spread, and ratios of medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

import torch

Work = Callable[[], object]
PEAK_SIDE = 2048  # side of the matrices whose product measures the machine's peak


@dataclass(frozen=True)
class Timing:
    """The seconds of one piece of work over several repetitions."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return median(self.times)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, divided by the median: 0.05 is ± 5 %."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = quantiles(self.times, n=4, method="inclusive")
        return (high - low) / 2 / self.median


def interleaved(pieces: Mapping[str, Work], repeats: int, device: torch.device) -> dict[str, Timing]:
    """Run each piece once without timing it, then time all of them in turn, ``repeats`` times."""
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for repeat in range(repeats + 1):
        for name, work in pieces.items():
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if repeat:
                times[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(each)) for name, each in times.items()}


def peak_work(device: torch.device, dtype: torch.dtype = torch.float32) -> tuple[Work, int]:
    """A matrix product that measures the peak of the machine, and its multiply-adds."""
    matrix = torch.rand(PEAK_SIDE, PEAK_SIDE, device=device, dtype=dtype)
    return lambda: matrix @ matrix, PEAK_SIDE**3
