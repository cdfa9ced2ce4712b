"""Means over windows, in place of means over the whole image (TLC).

A network that was trained on patches sees means of patches. Over a window of about that size it sees the like of them
in an image of any size, and its receptive field becomes finite.

Source: Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor

TrainingSize = Annotated[
    tuple[PositiveInt, PositiveInt] | None,
    Field(
        description="height and width of the training patches; the mean of channel attention is then over windows of "
        "1.5 times as many pixels; null: over the whole image"
    ),
]


def window_of(training_size: tuple[int, int], level: int = 0, levels: int = 0) -> tuple[int, int]:
    """(height, width) of the window at 1 / 2^level of the resolution, in a network that halves it ``levels`` times."""
    height, width = (-(-side // 2**levels) * 2 ** (levels - level) * (side * 3 // 2) // side for side in training_size)
    return max(1, height), max(1, width)


def reach(window: tuple[int, int]) -> tuple[int, int]:
    """How far the mean at a pixel sees at most: far from the border, and how much farther at the border."""
    return max(side // 2 for side in window), max(side - 1 - side // 2 for side in window)


def local_mean(values: Tensor, window: tuple[int, int]) -> Tensor:
    """The mean over a window around each pixel: (B, H, W, C) → the same shape.

    A window is as large as the image at most, and stays inside: near the border the mean is that of the outermost
    window. An even window has one more pixel below and at the right than above and at the left.
    """
    return _mean_along(_mean_along(values, 1, window[0]), 2, window[1])


def _mean_along(values: Tensor, axis: int, window: int) -> Tensor:
    """Means over windows of an axis, as differences of sums from its start, in single precision at least."""
    length = values.shape[axis]
    size: Any = torch.sym_min(window, length)  # a symbol in a trace
    sums = values.cumsum(axis, dtype=torch.promote_types(values.dtype, torch.float32))
    sums = F.pad(sums, (0, 0, 1, 0) if axis == 2 else (0, 0, 0, 0, 1, 0))
    first = torch.arange(length, device=values.device) - (size - 1) // 2
    first = first.clamp(min=0).clamp(max=length - size)
    means: Tensor = (sums.index_select(axis, first + size) - sums.index_select(axis, first)) / size
    return means.to(values.dtype)
