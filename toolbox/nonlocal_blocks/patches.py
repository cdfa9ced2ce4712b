"""Attention of 3×3 patches: each pixel compares the patch around it with others, and gathers patches of values.

Scores of patches are sums of scores of pixels: the score of two patches is that of their centers, plus those of the
eight pairs of pixels at the same offset from both. So the code multiplies pixels, and adds nine shifted copies of the
products. It is alike for the gathered patches, which overlap: a value reaches a pixel by the weights of the nine pairs
of patches that put it there. These sums of weights multiply the values. Both products are nine times smaller than those
of patches.

A sum over nine shifts is one over three shifts along a row, then one over three rows. Keys are numbered row by row,
with an empty one behind each row, so that a shift along a row is a shift in memory. Rows of queries follow one another
in bands, and a sum over rows comes one row later than its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.scratch import Scratch, reusable, side_by_side

SHARPNESS = 10.0  # factor of the scores before the softmax
SMALLEST_NORM = 1e-4  # least norm of a patch of keys, which is divided by it
PAIRS_AT_A_TIME = 2**20  # pairs of queries and keys in a band, so that their scores stay in the cache
NARROWEST = 32  # columns of a strip: each computes two more on either side
HALO = 2


class Grid(NamedTuple):
    """Keys (B, L, h, w) and their values (B, C, h, w)."""

    keys: Tensor
    values: Tensor


def attend_patches(queries: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Gather 3×3 patches of values by the similarity of 3×3 patches, and lay them over one another.

    The patches of all grids compete in one softmax. Beyond each border are zeros. Overlaps are added up.

    Args:
        queries: (B, L, H, W).
        grids: keys and values, of any sizes.

    Returns:
        (B, C, H, W).
    """
    if torch.compiler.is_compiling():  # also by torch.export
        return attend_patches_at_once(queries, grids)
    return side_by_side(attended_strips(queries, grids), queries.shape[3])


def attended_strips(queries: Tensor, grids: Sequence[Grid], before: int = 0) -> Iterator[Tensor]:
    """``attend_patches`` in strips from left to right, (B, C, H, columns).

    All but the first strip begin with the last ``before`` columns of the one before, for a convolution behind.
    """
    batch, _, _, width = queries.shape
    flat = _Flat.of(grids)
    del grids  # the flat ones are as large
    columns = max(NARROWEST, PAIRS_AT_A_TIME // (batch * flat.keys.shape[2]))
    for start in range(0, width, columns):
        begin, stop = max(0, start - before), min(start + columns, width)
        first = max(0, begin - HALO)
        strip = queries[..., first : min(stop + HALO, width)]
        yield _Strip(strip, flat).gathered()[:, :, begin - first : stop - first].permute(0, 3, 1, 2)


def attend_patches_at_once(queries: Tensor, grids: Sequence[Grid]) -> Tensor:
    """The same with whole patches and all scores in memory: for a graph, which has no loops."""
    keys = torch.cat([normalized_patches(grid.keys) for grid in grids], 2)
    values = torch.cat([F.unfold(grid.values, 3, padding=1) for grid in grids], 2)
    scores = SHARPNESS * (F.unfold(queries, 3, padding=1).mT @ keys)
    return F.fold(values @ scores.softmax(2).mT, queries.shape[2:], 3, padding=1)


def normalized_patches(keys: Tensor) -> Tensor:
    """(B, L, h, w) → (B, 9 · L, h · w): the 3×3 patches, normalized unless they are almost zero."""
    patches = F.unfold(keys, 3, padding=1)
    return patches / patches.norm(dim=1, keepdim=True).clamp(min=SMALLEST_NORM)


class _Flat(NamedTuple):
    """The keys of all grids one after the other, each row followed by an empty key, K of them in all."""

    keys: Tensor  # (B, L, K)
    values: Tensor  # (B, K, C)
    factor: Tensor  # (B, 1, 1, K): sharpness over the norm of the patch around each key, 0 for empty keys
    parts: tuple[tuple[int, int, int], ...]  # of each grid: its first key, the one behind its last, and a row's length

    @classmethod
    def of(cls, grids: Sequence[Grid]) -> _Flat:
        factors, parts, stop = [], [], 0
        for keys, _ in grids:
            norm = F.unfold(keys, 3, padding=1).norm(dim=1).clamp(min=SMALLEST_NORM)
            factors.append(F.pad((SHARPNESS / norm).unflatten(1, keys.shape[2:]), (0, 1)).flatten(1))
            row = keys.shape[3] + 1
            parts.append((stop, stop + keys.shape[2] * row, row))
            stop += keys.shape[2] * row
        keys = torch.cat([F.pad(grid.keys, (0, 1)).flatten(2) for grid in grids], 2)
        values = torch.cat([F.pad(grid.values, (0, 1)).flatten(2).mT for grid in grids], 1).contiguous()
        return cls(keys, values, torch.cat(factors, 1)[:, None, None], tuple(parts))


class _Strip:
    """The attention of a strip of queries to all keys, band by band."""

    def __init__(self, queries: Tensor, flat: _Flat) -> None:
        self.queries, self.flat = queries, flat
        self.reuses = reusable(queries, flat.keys, flat.values)
        # Products become weights, and one sum of nine is no longer needed when the next one is made.
        self.products, self.total, self.along_scores, self.along_weights = (
            Scratch(queries, usable=self.reuses) for _ in range(4)
        )

    def gathered(self) -> Tensor:
        """(B, H, W, C)."""
        batch, _, height, width = self.queries.shape
        values = self.flat.values
        scores = self._summed(self._products(), self.along_scores)
        spread = self._summed(map(self._weights, scores), self.along_weights)
        if not self.reuses:
            return torch.cat([(band.flatten(1, 2) @ values).unflatten(1, (-1, width)) for band in spread], 1)
        # Small results that stay between large ones that go would leave holes in the heap, larger than both.
        result, top = values.new_empty(batch, height, width, values.shape[2]), 0
        for band in spread:
            stop = top + band.shape[1]
            torch.bmm(band.flatten(1, 2), values, out=result[:, top:stop].flatten(1, 2))
            top = stop
        return result

    def _products(self) -> Iterator[Tensor]:
        """The products of pixels, in bands (B, rows, W, K)."""
        batch, _, height, width = self.queries.shape
        pixels, keys = self.queries.permute(0, 2, 3, 1), self.flat.keys
        step = max(1, PAIRS_AT_A_TIME // (batch * width * keys.shape[2]))
        for start in range(0, height, step):
            some = pixels[:, start : start + step].flatten(1, 2)
            room = self.products.room(batch, some.shape[1], keys.shape[2])
            yield torch.bmm(some, keys, out=room).unflatten(1, (-1, width))

    def _weights(self, scores: Tensor) -> Tensor:
        scores = torch.mul(scores, self.flat.factor, out=scores if self.reuses else None)
        for start, stop, row in self.flat.parts:
            scores[..., start + row - 1 : stop : row].fill_(-math.inf)  # empty keys
        return torch.softmax(scores, 3, out=self.products.room(*scores.shape))

    def _summed(self, bands: Iterator[Tensor], memory: Scratch) -> Iterator[Tensor]:
        """Bands (B, rows, W, K) one below the other → the same rows, each pair's sum over the nine shifts of both."""
        before: Tensor | None = None  # the last two rows of earlier bands, summed along the rows
        for band in bands:
            along = _summed_along(band, memory)
            above = torch.zeros_like(along[:, :1]) if before is None else before
            if above.shape[1] + along.shape[1] > 2:
                yield self._summed_down(above, along)
            before = torch.cat((above[:, -1:], along[:, -2:]), 1)[:, -2:]
        if before is not None:
            yield self._summed_down(before, torch.zeros_like(before[:, :1]))

    def _summed_down(self, above: Tensor, below: Tensor) -> Tensor:
        """One or two rows and those below (B, rows, W, K) → all but the first and the last, each the sum of three."""
        batch, upper, width, keys = above.shape
        rows = upper + below.shape[1] - 2
        room = self.total.room(batch, rows, width, keys)
        total = torch.cat((above[:, 1:], below[:, :-1]), 1, out=room)
        for start, stop, row in self.flat.parts:
            total[:, :upper, :, start + row : stop].add_(above[:, :rows, :, start : stop - row])
            total[:, upper:, :, start + row : stop].add_(below[:, :-2, :, start : stop - row])
            total[..., start : stop - row].add_(below[:, -rows:, :, start + row : stop])
        return total


def _summed_along(band: Tensor, memory: Scratch) -> Tensor:
    """(B, rows, W, K) → the same, each pair's sum over three shifts along the row; anything for empty keys."""
    shift = band.shape[3] + 1  # to the next query and the next key
    room = memory.room(*band.shape)
    total = band.clone() if room is None else room.copy_(band)
    source, target = band.flatten(2), total.view(*band.shape[:2], -1)
    target[..., shift:].add_(source[..., :-shift])
    target[..., :-shift].add_(source[..., shift:])
    return total
