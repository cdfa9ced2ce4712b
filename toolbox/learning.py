"""What a training step hands to a loss, and what degradations and datasets hand to a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Pixels = np.ndarray[Any, Any] | Tensor


@dataclass(frozen=True)
class LossInput:
    """A restored batch, what it should be, and what it was made of.

    Where a recipe computes only some points of each patch, ``points`` has their numbers (B, N), row by row, in a
    patch of ``size``; ``restored`` and ``clean`` are then (B, C, N).
    """

    restored: Tensor  # (B, C, H, W), not clamped
    clean: Tensor  # of the same shape, in [0, 1]
    degraded: Tensor  # (B, C, h, w)
    features: Tensor  # (B, F, h, w) that the encoder gave; larger where the image was padded
    size: tuple[int, int]  # (H, W)
    points: Tensor | None = None
    conditions: Mapping[str, Tensor] = field(default_factory=dict)  # those that the network was given


class Degraded(NamedTuple):
    """A degraded picture with what is known of how it came to be."""

    picture: Tensor  # (C, h, w)
    conditions: Mapping[str, float | Tensor]  # by name, such as sigma: a number, or a map (h, w)


@dataclass(frozen=True)
class Example:
    """One picture to learn from: clean, and with its degraded partner where there is one.

    Pixels are arrays (H, W) or (H, W, C) or tensors (H, W) or (C, H, W), of 8 or 16 bits or floats in [0, 1]. The
    clean picture is larger than the degraded one by the scale of the pair.
    """

    clean: Pixels
    degraded: Pixels | None = None  # None: the recipe's degradations make it
    conditions: Mapping[str, float | Pixels] = field(default_factory=dict)  # maps are as large as the degraded picture
    name: str = ""  # what to call it in messages
