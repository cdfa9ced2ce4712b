"""The positions of output pixels among feature pixels: the conventions of every implicit decoder.

Pixels are squares and y comes before x. An image of any size covers [−1, 1] on both axes. Of n pixels,
pixel i covers [−1 + 2i / n, −1 + 2(i + 1) / n]. Its center is in the middle, and its extent 2 / n is
the *cell* of that axis. A position is nearest to the feature pixel that covers it.
Offsets are counted in half feature pixels, so that within the nearest pixel they are in (−1, 1).
Each decoder says where it departs from this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toolbox.symbolic import exact


@dataclass(frozen=True)
class Positions:
    """Output positions in [−1, 1]; ``y`` and ``x`` broadcast to their shape: (H', W') or (N,).

    Coordinates are float64, so that they are exact enough to tell which pixel covers them. ``counts`` is the size of
    the image that has pixels of that cell: (H', W') of a grid, and the nearest integers where a cell divides no axis.
    """

    y: Tensor
    x: Tensor
    cell: tuple[float, float]
    counts: tuple[int, int]

    def at(self, y: Tensor, x: Tensor) -> Positions:
        """Other positions in the same image."""
        return Positions(y, x, self.cell, self.counts)

    def chunks(self, most: int) -> Iterator[Positions]:
        """The same positions, about ``most`` at a time, cut along the first axis; all at once when traced."""
        if torch.compiler.is_compiling():
            yield self
            return
        _, *rest = torch.broadcast_shapes(self.y.shape, self.x.shape)
        yield from self.bands(max(1, most // max(1, rest[0] if rest else 1)))

    def bands(self, rows: int) -> Iterator[Positions]:
        """The same positions, ``rows`` of the first axis at a time; all at once when traced, for any number of them."""
        if torch.compiler.is_compiling():
            yield self
            return
        count = torch.broadcast_shapes(self.y.shape, self.x.shape)[0]
        for start in range(0, max(1, count), rows):  # without positions there is one empty band
            y, x = (axis[start : start + rows] if axis.shape[0] == count else axis for axis in (self.y, self.x))
            yield self.at(y, x)


def grid(size: tuple[int, int], device: torch.device) -> Positions:
    """The pixel centers of an image of ``size``, as (H', 1) and (1, W')."""
    y, x = (pixel_centers(n, device) for n in size)
    return Positions(y[:, None], x[None, :], (2 / size[0], 2 / size[1]), size)


def pixel_centers(count: int, device: torch.device) -> Tensor:
    """(count,): the centers of ``count`` pixels."""
    return (2 * torch.arange(count, dtype=torch.float64, device=device) + 1) / count - 1


def nearest(position: Tensor, count: int, features: int) -> Tensor:
    """Index of the feature pixel nearest to each position, along an axis with ``count`` output pixels.

    For the centers of output pixels, this is the pixel that torch's ``nearest-exact`` picks. Where a center falls on
    the edge of two pixels, its float32 rounding decides, as in the published code.
    """
    outputs, inputs = (exact(each, position.device) for each in (count, features))
    output = (position + 1) * (outputs / 2) - 0.5
    closest = output.round().clamp(0, count - 1)
    # In float32 with the product not rounded, as a processor multiplies and adds at once.
    source = ((closest + 0.5) * (inputs / outputs).float().double() - 0.5).float().clamp(min=0)
    picked = (source.double() + 0.5).float().floor()
    covering = ((position + 1) * (inputs / 2)).floor()
    return torch.where((output - closest).abs() < 1e-3, picked.double(), covering).long().clamp(0, features - 1)


def clipped_cell(cell: tuple[float, float], largest_scale: float | None) -> tuple[float, float]:
    """A cell in half feature pixels, enlarged to that of ``largest_scale`` if the scale of the picture is larger.

    The vertical scale counts, 2 / cell, and both axes are enlarged alike. A network that gets the cell knows nothing
    about smaller cells than those of its training.
    """
    if largest_scale is None:
        return cell
    excess: Any = torch.sym_max(2 / cell[0] / largest_scale, 1.0)
    return cell[0] * excess, cell[1] * excess


def nearest_upward(half: Any, features: int) -> Any:
    """The feature pixel that covers each position, or the later one of two if it lies between them.

    ``half`` is half the position in float32, in whose arithmetic rounding decides what lies on an edge, as in the code
    of jax and Thera. Tensors or NumPy arrays.
    """
    place = half * features + (features - 1) / 2
    return ((place - 0.5) // 1 + 1).clip(0, features - 1)  # exact, while place + 0.5 would be rounded


def offset(position: Tensor, pixel: Tensor, features: int) -> Tensor:
    """The offset from the center of feature pixel ``pixel`` to the position, in half feature pixels."""
    return (position + 1) * features - 2 * pixel - 1


def stack(*values: Tensor | float, like: Tensor) -> Tensor:
    """Broadcast the values and put them side by side on a last axis, in the dtype of ``like``."""
    tensors = [
        value.to(like) if isinstance(value, Tensor) else torch.full((), value, dtype=like.dtype, device=like.device)
        for value in values
    ]
    return torch.stack(torch.broadcast_tensors(*tensors), -1)
