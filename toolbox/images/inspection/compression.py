"""Find the quality of a JPEG: by the tables of a file, or by the pixels of a picture that was saved again.

Decompressed pixels have DCT coefficients near multiples of the quantization steps, in blocks on a grid. So the
likelihood of the coefficients under the tables of each quality tells the last one, and whether there was any.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

# ITU-T T.81, Table K.1: the steps of luma at quality 50, which libjpeg scales.
LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
SIDE = 8  # of a block
BLOCKS, FEW = 512, 128  # blocks to look at, spread over the picture, and to choose the grid by
ROUNDING = 0.45  # standard deviation that the rounding of decompressed pixels leaves in a coefficient
STRAY = 0.03  # share of the coefficients that are anywhere, such as those of clipped pixels
BETTER = 5  # qualities: an earlier JPEG in a JPEG file is at least so much worse
EVIDENCE = 0.02  # least mean logarithm of the likelihood ratio for a finding
CANDIDATES = 2  # places of the grid to try on each axis, beside the usual one


def steps_of(quality: int) -> Array:
    """Libjpeg's quantization steps of luma for a quality of 1 to 100, (8, 8)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((LUMA * scale + 50) // 100, 1, 255).astype(np.float64)


ALL_STEPS = np.stack([steps_of(quality) for quality in range(1, 101)])


def quality_of_tables(tables: Mapping[int, Sequence[int]]) -> int:
    """The quality whose steps are closest to those of a JPEG file, by the mean difference of logarithms."""
    own = np.log(np.maximum(np.array(tables[min(tables)], np.float64).reshape(SIDE, SIDE), 1))
    return 1 + int(np.abs(np.log(ALL_STEPS) - own).mean((1, 2)).argmin())


def quality_of_pixels(luma: Array, tables: Mapping[int, Sequence[int]] | None = None) -> int | None:
    """The quality of the last JPEG that a picture was, or None if its pixels show none.

    Args:
        luma: (H, W) in levels of 255, not rounded.
        tables: those of the file, if it is a JPEG itself. Then the quality is that of an earlier, worse one.
    """
    noise, worst = np.full((SIDE, SIDE), ROUNDING), 100
    if tables is not None:
        own = np.array(tables[min(tables)], np.float64).reshape(SIDE, SIDE)
        noise = np.sqrt(noise**2 + own**2 / 12)
        worst = quality_of_tables(tables) - BETTER
    if worst < 1:
        return None
    coarse = sorted({*range(5, worst, 5), worst})
    best, blocks, near = -math.inf, np.zeros((0, SIDE, SIDE)), 1
    for top, left in _grids(luma):
        coefficients = _coefficients(luma[top:, left:])
        evidence = _evidence(coefficients[:: max(1, len(coefficients) // FEW)], noise, coarse)
        if evidence.max() > best:
            best, blocks, near = float(evidence.max()), coefficients, coarse[int(evidence.argmax())]
    fine = list(range(max(1, near - 5), min(near + 5, worst) + 1))
    evidence = _evidence(blocks, noise, fine)
    return fine[int(evidence.argmax())] if evidence.max() > EVIDENCE else None


def _evidence(coefficients: Array, noise: Array, qualities: Sequence[int]) -> Array:
    """For each quality, the mean logarithm of the likelihood ratio of its tables against no table at all."""
    total = np.zeros(len(qualities))
    if not len(coefficients):
        return total
    for row in range(SIDE):
        for column in range(SIDE):
            if row == column == 0:  # the mean of a block says little
                continue
            values, deviation = coefficients[:, row, column], noise[row, column]
            spread = 2 * np.abs(values).mean() + deviation
            steps, places = np.unique([ALL_STEPS[each - 1, row, column] for each in qualities], return_inverse=True)
            distance = values - np.round(values / steps[:, None]) * steps[:, None]
            density = np.exp(-0.5 * (distance / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
            ratio = np.minimum(steps, spread)[:, None] * density
            total += np.log(STRAY + (1 - STRAY) * ratio).mean(1)[places]
    return total / (SIDE**2 - 1)


def _coefficients(luma: Array) -> Array:
    """DCT coefficients (N, 8, 8) of blocks on a grid from the first pixel on, without flat and clipped ones."""
    rows, columns = (length // SIDE for length in luma.shape)
    cut = luma[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    blocks = cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    low, high = blocks.min((1, 2)), blocks.max((1, 2))
    blocks = blocks[(low > 1) & (high < 254) & (high - low > 2)]
    blocks = blocks[:: max(1, len(blocks) // BLOCKS)]
    frequency, place = np.mgrid[:SIDE, :SIDE]
    dct = np.cos(math.pi * (2 * place + 1) * frequency / (2 * SIDE)) * np.where(frequency, 0.5, 0.125**0.5)
    return dct @ blocks @ dct.T


def _grids(luma: Array) -> Iterator[tuple[int, int]]:
    """Places (rows, columns) where the grid of blocks may start: the first pixel, and where edges are strongest."""
    rows, columns = _phases(luma), _phases(luma.T)
    yield from dict.fromkeys([(0, 0), *((row, column) for row in rows for column in columns)])


def _phases(luma: Array) -> list[int]:
    """The most likely starts of blocks along the first axis, by steps that are larger than those beside them."""
    if len(luma) < 2 * SIDE + 3:
        return [0]
    steps = np.diff(luma, axis=0)
    jumps = np.abs(steps[1:-1] - (steps[:-2] + steps[2:]) / 2).mean(1)  # between pixels 1 + i and 2 + i
    strength = np.array([jumps[(phase - 2) % SIDE :: SIDE].mean() for phase in range(SIDE)])
    return [int(phase) for phase in np.argsort(-strength)[:CANDIDATES]]
