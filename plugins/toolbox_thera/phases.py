"""The offsets along an axis of a grid, which are few if output pixels and feature pixels are in step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolbox.plugin import nearest_upward


@dataclass(frozen=True)
class Phases:
    """One axis of a grid: each feature pixel has ``slots`` places for the output pixels that it covers.

    The same offsets repeat every ``period`` feature pixels. They depend only on sizes, hence NumPy without a device.
    """

    offsets: NDArray[np.float64]  # (period, slots), in feature pixels; 0 where there is no output pixel
    index: NDArray[np.int64]  # (outputs,): the place of each output pixel, feature pixel · slots + slot

    @classmethod
    def of(cls, outputs: int, features: int) -> Phases:
        """The phases of ``outputs`` pixels over ``features`` feature pixels."""
        number = np.arange(outputs)
        center = (2 * number + 1) / outputs - 1
        pixel = nearest_upward((center / 2).astype(np.float32), features).astype(np.int64)
        offset = (center + 1) * (features / 2) - pixel - 0.5
        # Rounding may put a center on an edge into the pixel before it, but not in every period.
        regular = np.array_equal(pixel, (2 * number + 1) * features // (2 * outputs))
        period = features // math.gcd(outputs, features) if regular else features
        slot = number - np.searchsorted(pixel, pixel)
        offsets = np.zeros((period, slot.max() + 1))
        once = pixel < period
        offsets[pixel[once], slot[once]] = offset[once]
        return cls(offsets, pixel * offsets.shape[1] + slot)

    @property
    def period(self) -> int:
        """The number of feature pixels after which the offsets repeat."""
        return len(self.offsets)

    @property
    def slots(self) -> int:
        """The most output pixels that a feature pixel covers."""
        return self.offsets.shape[1]
