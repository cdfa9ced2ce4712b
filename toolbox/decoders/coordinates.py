"""Where output pixels lie among feature pixels: the conventions of every implicit decoder.

Pixels are squares, y comes before x. Output pixel i of n lies, among m feature pixels, at
(i + 0.5) · m / n in feature pixels; feature pixel j covers [j, j + 1) and has its center at j + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One axis of an output grid: for each output position, the nearest feature pixel and the way to it."""

    nearest: Tensor  # (n,), integer
    offset: Tensor  # (n,), from the nearest pixel's center, in half feature pixels: within (−1, 1)


def axis(features: int, outputs: int, like: Tensor) -> Axis:
    """The axis for ``features`` feature pixels and ``outputs`` output pixels, with the dtype of ``like``.

    The nearest pixel is the one that torch's ``nearest-exact`` picks, with its rounding in float32
    where an output center falls on the edge between two pixels: the published code relies on it.
    """
    positions = torch.arange(features, dtype=torch.float32, device=like.device)
    nearest = F.interpolate(positions[None, None], size=outputs, mode="nearest-exact")[0, 0].long()
    centers = (torch.arange(outputs, dtype=torch.float64, device=like.device) + 0.5) * (features / outputs)
    return Axis(nearest, (2 * (centers - nearest - 0.5)).to(like.dtype))
