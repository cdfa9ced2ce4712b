"""A grid seen from its feature pixels: each is a corner of the output pixels in a window around it.

The window of a feature pixel reaches to the centers of its neighbors, so that at scale s it has about 2s output
pixels along each axis. What a network computes at a feature pixel's corner is then computed window by window, where
all positions share what the feature pixel tells, instead of gathering that for each position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolbox.plugin import center, covering


@dataclass(frozen=True)
class Windows:
    """One axis of a grid. Of sizes alone, hence in NumPy: a device has no part in it."""

    offsets: NDArray[np.float32]  # (features, slots): from a feature pixel to the output pixels, in half feature pixels
    pixels: NDArray[np.int64]  # (2, outputs): the two feature pixels that each output pixel is seen from
    slots: NDArray[np.int64]  # (2, outputs): which of their output pixels it is

    @classmethod
    def of(cls, outputs: int, features: int) -> Windows:
        """Of ``outputs`` pixels over ``features`` feature pixels."""
        position = center(np.arange(outputs, dtype=np.float32), outputs)
        pixels = np.stack([covering(position, shift, features) for shift in (-1, 1)]).astype(np.int64)
        all_features = np.arange(features)
        first = np.searchsorted(pixels[1], all_features, "left")
        last = np.searchsorted(pixels[0], all_features, "right")
        seen = np.minimum(first[:, None] + np.arange(max(1, (last - first).max())), outputs - 1)
        offsets = (position[seen] - center(all_features.astype(np.float32)[:, None], features)) * features
        return cls(offsets, pixels, np.arange(outputs) - first[pixels])

    @property
    def width(self) -> int:
        """The most output pixels of a window."""
        return self.offsets.shape[1]
