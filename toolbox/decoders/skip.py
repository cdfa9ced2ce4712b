"""The global skip: the input image itself, resized, which a restorer adds to what its decoder gives."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.resize import is_size, resize

# Radius in input pixels of what one pixel of the resized image sees.
REACH: Mapping[str, int] = {"bicubic": 2, "bilinear": 1, "nearest": 0}


def resized(image: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (B, C, H, W) by ``bicubic``, ``bilinear`` or ``nearest`` interpolation; the same size is exact.

    Pixels are squares, and their centers are matched (``align_corners=False``). Bilinear interpolation repeats the
    border, and nearest takes the pixel that covers the center (torch's ``nearest-exact``). Only bicubic guards
    against aliasing where an axis shrinks: the networks that are published with the others add them as they are.
    """
    if interpolation == "bicubic":
        return resize(image, size)
    if is_size(image, size):
        return image
    return F.interpolate(image, size=size, mode="nearest-exact" if interpolation == "nearest" else interpolation)
