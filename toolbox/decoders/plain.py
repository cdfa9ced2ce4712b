"""Shared by plain versions of implicit decoders: published sampling, corners and 1×1 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def sampled(shape: tuple[int, int], y: Tensor, x: Tensor) -> Tensor:
    """The numbers of the pixels that nearest ``grid_sample`` picks at float32 coordinates, clamped inside."""
    edge = 1 - 1e-6
    grid = torch.stack(torch.broadcast_tensors(x[None, :].clamp(-edge, edge), y[:, None].clamp(-edge, edge)), -1)
    numbers = torch.arange(shape[0] * shape[1], dtype=torch.float32).view(1, 1, *shape)
    return F.grid_sample(numbers, grid[None], mode="nearest", align_corners=False)[0, 0].long()


def plain_corners(
    shape: tuple[int, int], size: tuple[int, int], *, ensemble: bool = True
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The numbers of feature pixels and offsets (y, x), all (H', W'), for each of the four corners or the nearest.

    The offsets are in half feature pixels, in float32.
    """
    (height, width), (y, x) = shape, map(plain_centers, size)
    found = []
    for vertical, horizontal in [(-1, -1), (-1, 1), (1, -1), (1, 1)] if ensemble else [(0, 0)]:
        pixel = sampled(
            shape,
            y + (vertical / height + 1e-6 if vertical else 0),
            x + (horizontal / width + 1e-6 if horizontal else 0),
        )
        dy = (y[:, None] - plain_centers(height)[pixel // width]) * height
        dx = (x[None, :] - plain_centers(width)[pixel % width]) * width
        found.append((pixel, dy, dx))
    return found


def plain_area_weights(found: Sequence[tuple[Tensor, Tensor, Tensor]], like: Tensor) -> list[Tensor]:
    """The weight (H', W') of each corner, in the dtype of ``like``: the opposite one's area over the sum."""
    areas = [(dy * dx).abs().to(like.dtype) + 1e-9 for _, dy, dx in found]
    return [area / sum(areas) for area in reversed(areas)]


def plain_centers(count: int) -> Tensor:
    """Pixel centers in float32. Their rounding decides the weights where both pixels of an axis are the same."""
    return -1 + 1 / count + 2 / count * torch.arange(count).float()


def linear(image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer at every pixel of (B, C, H, W)."""
    return F.conv2d(image, weight[:, :, None, None], bias)
