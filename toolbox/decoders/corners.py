"""The four feature pixels around a position and their weights, as in LIIF and the decoders after it.

The four corners of a position are the feature pixels that cover it when it is shifted by half a
feature pixel up or down, and left or right. The weight of each is the area between the position and
the opposite corner. Pixels and offsets are computed in float32 with the rounding of the published code,
which decides the weights at the border of odd scales. The axes stay separate until the end, so that a
grid of positions costs no more than its two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toolbox.decoders.coordinates import Positions
from toolbox.symbolic import exact

EPSILON = 1e-6  # the published shift and clamp, which keep positions off the edges between pixels
SMALLEST_AREA = 1e-9  # keeps the sum of weights positive at the center of a feature pixel


@dataclass(frozen=True)
class Corner:
    """One corner of each position; rows and columns broadcast to the shape of the positions."""

    row: Tensor  # of the feature pixel
    column: Tensor
    down: Tensor  # from its center to the position, in half feature pixels, float32
    right: Tensor


def corners(positions: Positions, height: int, width: int, *, ensemble: bool = True) -> list[Corner]:
    """The four corners of each position among height × width feature pixels.

    Their order is top left, top right, bottom left, bottom right, so that reversing the list gives the
    opposite corners. Without ``ensemble`` there is one: the feature pixel that covers the position.
    """
    rows, columns = (
        along(position, outputs, count, (-1, 1) if ensemble else (0,))
        for position, outputs, count in zip((positions.y, positions.x), positions.counts, (height, width), strict=True)
    )
    return [Corner(row, column, down, right) for row, down in rows for column, right in columns]


def along(position: Tensor, outputs: int, count: int, shifts: Sequence[float | Tensor]) -> list[tuple[Tensor, Tensor]]:
    """On an axis of ``outputs`` pixels over ``count`` feature pixels: the pixels and offsets for each shift.

    The pixel covers the shifted position, clamped inside the image; the offset is from its center to the
    position itself. Shifts and offsets are in half feature pixels.
    """
    features = exact(count, position.device)
    rounded = published(position, outputs)
    pixels = [covering(rounded, shift, features) for shift in shifts]
    return [(pixel.long(), (rounded - center(pixel, features)) * features) for pixel in pixels]


def area_weights(around: Sequence[Corner], like: Tensor) -> list[Tensor]:
    """The weight of each corner: the opposite area divided by the sum of all. The weights sum to 1.

    They have the shape of the positions and the dtype of ``like``.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    # In units of the smallest area, because the optimizer of ONNX programs drops a sum with 1e-9.
    areas = [(corner.down * corner.right).abs().to(dtype) / SMALLEST_AREA + 1 for corner in around]
    total = torch.stack(torch.broadcast_tensors(*areas)).sum(0)
    return [(opposite / total).to(like.dtype) for opposite in reversed(areas)]


def published(position: Tensor, count: int) -> Tensor:
    """Positions in float32; centers of the grid of ``count`` pixels are rounded as published.

    This matters at the border of odd scales. There both pixels of an axis are the same, and the offset is
    zero except for rounding, which then decides the weights of the other axis.
    """
    outputs = exact(count, position.device)
    closest = center(((position + 1) * (outputs / 2) - 0.5).round().float(), outputs)
    return torch.where((closest - position).abs() < 5e-7, closest, position.float())


def center(pixel: Any, count: Any) -> Any:
    """The center of each pixel of ``count``, rounded as published; for float32 tensors or NumPy arrays."""
    return (-1 + 1 / count) + (2 / count) * pixel


def covering(position: Any, shift: Any, count: Any) -> Any:
    """The feature pixel that covers the position, shifted by half feature pixels; for tensors or NumPy arrays.

    Positions are float32, and the shift is a number or a float64 scalar. Halves are rounded to even, as
    grid_sample does.
    """
    shifted = position + shift / count + EPSILON * (shift != 0)
    inside = shifted.clip(-1 + EPSILON, 1 - EPSILON)
    return (((inside + 1) * count - 1) / 2).round()
