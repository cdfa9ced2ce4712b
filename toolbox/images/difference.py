"""Find how much and where pictures differ, a band of rows at a time, since they may be large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.generic]  # (H, W, C)


def most_different(pictures: Sequence[Pixels], window: tuple[int, int], alike: float = 0.0) -> tuple[int, int]:
    """Left and top of the window (width, height) in which arrays (H, W, C) of one range differ most.

    The difference of a value is the square of the largest minus the smallest. Windows are tried at about
    every twelfth of their side. Since noise is everywhere, windows within the fraction ``alike`` of the
    largest difference count as equal, and the one with the most edges wins.
    """
    height, width = pictures[0].shape[:2]
    step = max(1, min(window) // 12)
    rows = [band for band in _bands(pictures, step) if len(band[0]) == step]
    across, down = (max(1, side // step) for side in window)
    differences = _window_sums(np.stack([_block_sums(np.square(np.ptp(band, axis=0))) for band in rows]), across, down)
    edges = _window_sums(np.stack([_block_sums(_edges(np.mean(band, axis=0))) for band in rows]), across, down)
    best = np.where(differences >= (1 - alike) * differences.max(), edges if alike else differences, -1).argmax()
    top, left = divmod(int(best), differences.shape[1])
    return min(left * step, width - window[0]), min(top * step, height - window[1])


def psnr(picture: Pixels, reference: Pixels) -> float:
    """PSNR of 8-bit values in dB; infinite when they are equal."""
    bands = _bands((picture, reference), 256)
    error = sum(float(np.square(one - other).sum(dtype=np.float64)) for one, other in bands) / picture.size
    return 10 * math.log10(255**2 / error) if error else math.inf


def _bands(pictures: Sequence[Pixels], rows: int) -> Iterator[list[NDArray[np.float32]]]:
    """The same rows of each picture as float32, from top to bottom."""
    for top in range(0, len(pictures[0]), rows):
        yield [each[top : top + rows].astype(np.float32) for each in pictures]


def _block_sums(band: NDArray[np.float32]) -> NDArray[np.float64]:
    """(step, W, C) → (W // step,): sums over squares of ``step`` pixels."""
    step, width, _ = band.shape
    columns = width // step
    return band[:, : columns * step].reshape(step, columns, -1).sum((0, 2), dtype=np.float64)


def _edges(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """(step, W, C): the squared difference of a value to its neighbors in the band."""
    right, below = (np.diff(band, axis=axis, append=band.take([-1], axis)) for axis in (1, 0))
    return np.square(right) + np.square(below)


def _window_sums(blocks: NDArray[np.float64], across: int, down: int) -> NDArray[np.float64]:
    """(H, W) → (H − down + 1, W − across + 1): sums of each window."""
    sums = np.pad(blocks.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
