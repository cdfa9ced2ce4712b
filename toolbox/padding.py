"""Padding an image at the bottom and right to the multiples that a network needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.config import Padding


def padded(image: Tensor, padding: Padding) -> Tensor:
    """(B, C, H, W) → the same, larger at the bottom and right, both sides multiples of ``padding.multiple``.

    Reflection repeats no edge, and goes back and forth where an image is smaller than its padding.
    """
    height, width = image.shape[-2:]
    down, right = -height % padding.multiple, -width % padding.multiple
    if padding.multiple == 1 or (down == 0 and right == 0):
        return image
    if padding.mode == "reflect":
        return image.index_select(-2, _reflected(height, down, image)).index_select(-1, _reflected(width, right, image))
    mode = "constant" if padding.mode == "zeros" else "replicate"
    return F.pad(image, (0, right, 0, down), mode)


def _reflected(length: int, more: int, image: Tensor) -> Tensor:
    """Which pixel of an axis each pixel of the padded one is."""
    period = max(2 * length - 2, 1)
    position = torch.arange(length + more, device=image.device) % period
    return torch.minimum(position, period - position) if length > 1 else torch.zeros_like(position)
