"""Bicubic resizing of tensors: what every network is measured against, and what joins sizes inside them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) bicubically, in the same range (with overshoot); the same size is exact.

    Enlarging is torch's bicubic (a = −0.75); where an axis shrinks, the kernel is widened against
    aliasing (a = −0.5).
    """
    height, width = image.shape[-2:]
    if size == (height, width):
        return image
    if size[0] >= height and size[1] >= width:
        return F.interpolate(image, size=size, mode="bicubic")
    return antialiased(image, size)


def antialiased(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) with the bicubic kernel a = −0.5, widened where an axis shrinks."""
    if size[1] == 1 < size[0]:  # torch repeats the first row in outputs of width 1
        return antialiased(image.mT, (1, size[0])).mT
    return F.interpolate(image, size=size, mode="bicubic", antialias=True)
