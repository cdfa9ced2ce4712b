"""Settings with one number, or a range to draw from for each patch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator

from toolbox.config import fault


def ordered(value: float | tuple[float, float]) -> float | tuple[float, float]:
    """Return the value; refuse a range whose larger number comes first. For pydantic's validators."""
    if isinstance(value, tuple) and value[0] > value[1]:
        raise fault((), list(value), "a range, the smaller number first")
    return value


def drawn(value: float | Sequence[float], generator: Generator) -> float:
    """The value itself, or a value drawn uniformly from the range."""
    if isinstance(value, Sequence):
        low, high = value
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))
    return value
