"""Convert pixel values between fractions of white and the 8 bits of files."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def to_bytes(picture: Tensor) -> Tensor:
    """A tensor in [0, 1], of any shape → uint8, clipped and rounded, halves to even."""
    return _levels(picture).to(torch.uint8)


def rounded_to_bytes(picture: Tensor) -> Tensor:
    """The same rounding, but the result stays in [0, 1] and keeps its float type."""
    return _levels(picture) / 255


def _levels(picture: Tensor) -> Tensor:
    return (picture * 255).round().clamp(0, 255)


def eight_bits(pixels: Array) -> Array:
    """An array of any shape, uint8, uint16 or float in [0, 1] → uint8, clipped and rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.round(pixels.astype(np.float32) * 255).clip(0, 255).astype(np.uint8)
