"""The global skip: the resized input image, which a restorer adds to the result of its decoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.decoders.coordinates import nearest_upward, pixel_centers
from toolbox.resize import is_size, resize

# Radius in input pixels around a pixel of the resized image that it depends on.
REACH: Mapping[str, int] = {"bicubic": 2, "bilinear": 1, "nearest": 0}


def resized(image: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (B, C, H, W) by ``bicubic``, ``bilinear`` or ``nearest`` interpolation; the same size is exact.

    Pixels are squares, and their centers are matched (``align_corners=False``). Bilinear interpolation repeats the
    border, and nearest takes the pixel that covers the center, with the rounding of Thera's published code. Only
    bicubic guards against aliasing where an axis shrinks, because published networks with the others do not.
    """
    if interpolation == "bicubic":
        return resize(image, size)
    if is_size(image, size):
        return image
    if interpolation == "bilinear":
        return F.interpolate(image, size=size, mode="bilinear")
    for axis, count in zip((2, 3), size, strict=True):
        pixel = nearest_upward((pixel_centers(count, image.device) / 2).float(), image.shape[axis])
        image = image.index_select(axis, pixel.long())
    return image
