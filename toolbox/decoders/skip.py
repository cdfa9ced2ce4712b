"""The global skip: the input image itself, resized, which a restorer adds to what its decoder gives."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from toolbox.decoders.bicubic import resize
from toolbox.decoders.coordinates import nearest_upward, pixel_centers

# Radius in input pixels of what one pixel of the resized image sees.
REACH: Mapping[str, int] = {"bicubic": 2, "bilinear": 1, "nearest": 0}


def resized(image: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resize (B, C, H, W) by ``bicubic``, ``bilinear`` or ``nearest`` interpolation; the same size is exact.

    Pixels are squares, and their centers are matched (``align_corners=False``). Bilinear interpolation repeats the
    border, and nearest takes the pixel that covers the center, with the rounding of Thera's published code. Only
    bicubic guards against aliasing where an axis shrinks: the networks that are published with the others add them
    as they are.
    """
    if interpolation == "bicubic":
        return resize(image, size)
    if size == tuple(image.shape[-2:]):
        return image
    if interpolation == "bilinear":
        return F.interpolate(image, size=size, mode="bilinear")
    for axis, count in zip((2, 3), size, strict=True):
        pixel = nearest_upward((pixel_centers(count, image.device) / 2).float(), image.shape[axis])
        image = image.index_select(axis, pixel.long())
    return image
