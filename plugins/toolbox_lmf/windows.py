"""A grid from the view of its feature pixels: each is a corner of the output pixels in a window around it.

The window of a feature pixel reaches to the centers of its neighbors, so that at scale s it has about 2s output
pixels along each axis. A network can then work window by window. All positions of a window share the values of the
feature pixel, which need not be gathered for each position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolbox.plugin import center, covering


@dataclass(frozen=True)
class Windows:
    """One axis of a grid. It depends only on sizes, hence NumPy without a device."""

    offsets: NDArray[np.float32]  # (features, slots): from a feature pixel, in half feature pixels
    pixels: NDArray[np.int64]  # (2, outputs): the two feature pixels around each output pixel
    slots: NDArray[np.int64]  # (2, outputs): its slots in their windows

    @classmethod
    def of(cls, outputs: int, features: int) -> Windows:
        """The windows of ``outputs`` pixels over ``features`` feature pixels."""
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
