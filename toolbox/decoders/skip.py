"""The global skip: the resized input image, which a restorer adds to the result of its decoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.resize import is_size, resize

# Radius in input pixels around a pixel of the resized image that it depends on.
REACH: Mapping[str, int] = {"bicubic": 2, "bilinear": 1, "nearest": 0}


def resized(image: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (B, C, H, W) by ``bicubic``, ``bilinear`` or ``nearest`` interpolation; the same size is exact.

    Pixels are squares, and their centers are matched (``align_corners=False``). Bilinear interpolation repeats the
    border, and nearest takes the pixel that covers the center (torch's ``nearest-exact``). Only bicubic guards
    against aliasing where an axis shrinks, because published networks with the others do not.
    """
    if interpolation == "bicubic":
        return resize(image, size)
    if is_size(image, size):
        return image
    return F.interpolate(image, size=size, mode="nearest-exact" if interpolation == "nearest" else interpolation)
