"""The feature pixels around a position and what each weighs, as LIIF and the decoders after it have them.

A position is seen from four corners: the feature pixels that cover it when it is shifted by half a
feature pixel up or down, and left or right. Each is weighted by the area between the position and
the opposite corner. Pixels and offsets are found in float32 with the published code's rounding,
which at the border of odd scales decides the weights. Axes are apart until the end, so that a grid
of positions costs no more than its two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toolbox.decoders.coordinates import Positions

EPSILON = 1e-6  # the published shift and clamp, by which no position falls on an edge between pixels
SMALLEST_AREA = 1e-9  # so that the weights of a position on a feature pixel's center have a sum to be divided by


@dataclass(frozen=True)
class Corner:
    """A feature pixel as each position sees it; rows and columns broadcast to the shape of the positions."""

    row: Tensor  # of the feature pixel
    column: Tensor
    down: Tensor  # from its center to the position, in half feature pixels, float32
    right: Tensor


def corners(positions: Positions, height: int, width: int, *, ensemble: bool = True) -> list[Corner]:
    """The four corners of each position among height × width feature pixels.

    Their order is top left, top right, bottom left, bottom right, so that opposite corners are as far
    from the two ends of the list. Without ``ensemble`` it is one: the feature pixel that covers the position.
    """
    rows, columns = (
        along(position, cell, count, (-1 / count, 1 / count) if ensemble else (0.0,))
        for position, cell, count in zip((positions.y, positions.x), positions.cell, (height, width), strict=True)
    )
    return [Corner(row, column, down, right) for row, down in rows for column, right in columns]


def along(position: Tensor, cell: float, count: int, shifts: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
    """On one axis of ``count`` feature pixels: for each shift, the pixel and the offset of each position.

    The pixel covers the shifted position, clamped inside the image; the offset, in half feature
    pixels, is from its center to the position itself. Shifts are in the unit of the positions.
    """
    exact = published(position, cell)
    pixels = [_covering(exact, shift, count) for shift in shifts]
    return [(pixel, (exact - _center(pixel, count)) * count) for pixel in pixels]


def area_weights(around: Sequence[Corner], like: Tensor) -> list[Tensor]:
    """The weight of each corner: the area opposite to it over the sum of all; they sum to 1.

    Of the shape of the positions, in the dtype of ``like``.
    """
    areas = [(corner.down * corner.right).abs().to(like.dtype) + SMALLEST_AREA for corner in around]
    total = torch.stack(torch.broadcast_tensors(*areas)).sum(0)
    return [opposite / total for opposite in reversed(areas)]


def published(position: Tensor, cell: float) -> Tensor:
    """Positions in float32; centers of the grid that the cell implies are rounded as published.

    It matters at the border of odd scales: there both pixels of an axis are the same one, its
    offset is zero but for rounding, and it is this rounding that weighs the other axis.
    """
    count = max(1, round(2 / cell))
    center = _center(((position + 1) * (count / 2) - 0.5).round(), count)
    return torch.where((center - position).abs() < 5e-7, center, position.float())


def _center(pixel: Tensor, count: int) -> Tensor:
    """The center of pixel ``pixel`` of ``count``, in float32 and rounded as the published code rounds it."""
    return (-1 + 1 / count) + (2 / count) * pixel.float()


def _covering(position: Tensor, shift: float, count: int) -> Tensor:
    """The feature pixel that covers the shifted position; halves are rounded to even, as grid_sample does."""
    shifted = position + shift + (EPSILON if shift else 0)
    inside = shifted.clamp(-1 + EPSILON, 1 - EPSILON)
    return (((inside + 1) * count - 1) / 2).round().long()
