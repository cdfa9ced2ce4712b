"""Attention as a graph: all tiles in one batched product, for images of any size.

A graph has no loop over tiles, and its sizes are symbols. So all tiles are alike here: pixels are gathered by their
numbers, the pixel at the border stands for those beyond it, and a computed mask leaves those out. All pairs of
queries and keys are in memory at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window, Windowed
from toolbox.nonlocal_blocks.weighting import Weighting, weights_of
from toolbox.padding import cropped

TILE = 8  # queries per side of a tile


class _Axis(NamedTuple):
    """The tiles of one axis."""

    query: Tensor  # (tiles, TILE): the number of each query; the last tile repeats the last pixel
    first: Tensor  # (tiles, TILE): the first key of each query's window, negative where the border cuts it off
    key: Tensor  # (tiles, region): the keys that a tile needs, numbered beyond both borders
    inside: Tensor  # (tiles, region): the same, moved to the borders


def attend_at_once(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    neighborhood: Window | TopK | Whole,
    previous: Tensor | None,
    weighting: Weighting,
) -> tuple[Tensor, Tensor]:
    """Like ``attend``, but with raw correlations in one tensor (batch · tiles, queries, keys)."""
    if isinstance(neighborhood, Whole):
        size = queries.shape[-2:]
        score = _scores(_pixels(queries), _pixels(keys), previous)
        gathered = weights_of(score, neighborhood, weighting) @ _pixels(values)
        return gathered.mT.unflatten(2, size), score
    height, width = queries.shape[-2:]
    if neighborhood.border == "zero":
        margin = neighborhood.size // 2
        keys, values = (F.pad(each, (margin, margin, margin, margin)) for each in (keys, values))
    rows, columns = (_axis(length, neighborhood, queries.device) for length in (height, width))
    asked = _numbers(rows.query, columns.query, width)
    seen = _numbers(rows.inside, columns.inside, keys.shape[3])
    score = _scores(_gathered(queries, asked), _gathered(keys, seen), previous)
    if previous is None:  # else its entries outside the windows are −inf already
        down, across = (_outside(axis, neighborhood.size) for axis in (rows, columns))
        outside = down[:, None, :, None, :, None] | across[:, None, :, None]
        score = score.view(-1, *outside.shape).masked_fill(outside, float("-inf")).view(score.shape)
    gathered = weights_of(score, neighborhood, weighting) @ _gathered(values, seen)
    tiles = gathered.view(-1, *asked.shape, values.shape[1]).permute(0, 5, 1, 3, 2, 4)
    return cropped(tiles.flatten(4, 5).flatten(2, 3), height, width), score


def _axis(length: int, neighborhood: Windowed, device: torch.device) -> _Axis:
    """The tiles of an axis. With ``zero`` borders the keys count from the start of the axis, padded by the radius."""
    size, radius = neighborhood.size, neighborhood.size // 2
    # At least two, because a trace assumes that a size of one stays one, and a larger size stays larger.
    tiles = torch.sym_max((length + TILE - 1) // TILE, 2)
    start = TILE * torch.arange(tiles, device=device).unsqueeze(1)
    query = (start + torch.arange(TILE, device=device)).clamp(max=length - 1)
    keys, first = length, query - radius
    if neighborhood.border == "zero":
        keys, first = length + 2 * radius, query
    elif neighborhood.border == "shift":
        first = first.clamp(max=length - size).clamp(min=0)
    key = first.narrow(1, 0, 1) + torch.arange(size + TILE - 1, device=device)
    return _Axis(query, first, key, key.clamp(0, keys - 1))


def _outside(axis: _Axis, size: int) -> Tensor:
    """(tiles, TILE, region): whether a key is not in a query's window, or beyond the border."""
    place = axis.key.unsqueeze(1) - axis.first.unsqueeze(2)
    return (place < 0) | (place >= size) | (axis.key != axis.inside).unsqueeze(1)


def _numbers(rows: Tensor, columns: Tensor, width: int) -> Tensor:
    """(tiles down, tiles across, side, side): the numbers of the pixels of each tile in an image of that width."""
    return (width * rows)[:, None, :, None] + columns[:, None, :]


def _gathered(features: Tensor, numbers: Tensor) -> Tensor:
    """(B, C, H, W) → (B · tiles, pixels of a tile, C)."""
    pixels = _pixels(features).index_select(1, numbers.flatten())
    return pixels.view(-1, numbers.shape[2] * numbers.shape[3], features.shape[1])


def _pixels(features: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H · W, C)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _scores(queries: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
    return queries @ keys.mT if previous is None else torch.baddbmm(previous, queries, keys.mT)
