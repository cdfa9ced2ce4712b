"""The inputs of losses, and the results of degradations and datasets, in a training step."""

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
    """A restored batch, the clean one, and the inputs.

    If a recipe computes only some points of each patch, ``points`` has their numbers (B, N), row by row, in a
    patch of ``size``. ``restored`` and ``clean`` are then (B, C, N).
    """

    restored: Tensor  # (B, C, H, W), not clamped
    clean: Tensor  # of the same shape, in [0, 1]
    degraded: Tensor  # (B, C, h, w)
    features: Tensor  # (B, F, h, w) from the encoder; larger if the image was padded
    size: tuple[int, int]  # (H, W)
    points: Tensor | None = None
    conditions: Mapping[str, Tensor] = field(default_factory=dict)  # the conditions that the network got


class Degraded(NamedTuple):
    """A degraded picture with the conditions of its degradation."""

    picture: Tensor  # (C, h, w)
    conditions: Mapping[str, float | Tensor]  # by name, such as sigma: a number, or a map (h, w)


@dataclass(frozen=True)
class Example:
    """One picture to learn from: clean, and maybe with its degraded partner.

    Pixels are arrays (H, W) or (H, W, C) or tensors (H, W) or (C, H, W), of 8 or 16 bits or floats in [0, 1]. The
    clean picture is larger than the degraded one by the scale of the pair.
    """

    clean: Pixels
    degraded: Pixels | None = None  # None: the recipe's degradations make one
    conditions: Mapping[str, float | Pixels] = field(default_factory=dict)  # maps have the size of the degraded picture
    name: str = ""  # its name in messages
