"""Attention as a graph: all tiles in one batched product, for images of any size.

A graph has no loop over tiles, and its sizes are symbols. So all tiles are alike here: pixels are gathered by their
numbers, the pixel at the border stands for those beyond it, and a computed mask leaves those out. All pairs of
queries and keys are in memory at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window, Windowed
from toolbox.nonlocal_blocks.weighting import Weighting, weights_of
from toolbox.padding import cropped

TILE = 8  # queries per side of a tile


def attend_at_once(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    neighborhood: Window | TopK | Whole,
    previous: Tensor | None,
    weighting: Weighting,
) -> tuple[Tensor, Tensor]:
    """Like ``attend``, but with raw correlations in one tensor (batch · tiles, queries, keys)."""
    batch, _, height, width = queries.shape
    outside = None
    if isinstance(neighborhood, Whole):
        queries, keys, values = (_pixels(each) for each in (queries, keys, values))
    else:
        if neighborhood.border == "zero":
            margin = neighborhood.size // 2
            keys, values = (F.pad(each, (margin, margin, margin, margin)) for each in (keys, values))
        (row, key_row, outside_rows), (column, key_column, outside_columns) = (
            _axis(length, neighborhood, queries.device) for length in (height, width)
        )
        outside = outside_rows[:, None, :, None, :, None] | outside_columns[:, None, :, None, :]
        queries = _tiles(queries, row, column)
        keys, values = (_tiles(each, key_row, key_column) for each in (keys, values))
    if previous is not None:  # its entries outside the window are −inf already
        score = torch.baddbmm(previous, queries, keys.mT)
    else:
        score = queries @ keys.mT
        if outside is not None:
            score = score.view(-1, *outside.shape).masked_fill(outside, float("-inf")).view(score.shape)
    gathered = weights_of(score, neighborhood, weighting) @ values
    if outside is None:
        return gathered.mT.unflatten(2, (height, width)), score
    tiles = gathered.view(batch, *outside.shape[:4], -1).permute(0, 5, 1, 3, 2, 4)  # (B, C, tiles, tile, tiles, tile)
    return cropped(tiles.flatten(4, 5).flatten(2, 3), height, width), score


def _axis(length: int, neighborhood: Windowed, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The tiles of an axis: the numbers of their queries (tiles, TILE) and keys (tiles, region), and who is outside.

    Outside is (tiles, TILE, region): true where the key is not in the query's window. With ``zero`` borders the keys
    count from the start of an axis padded by the window's radius, as in ``segments``.
    """
    size, radius = neighborhood.size, neighborhood.size // 2
    # At least two, because a trace assumes that a size of one stays one, and a larger size stays larger.
    tiles = torch.sym_max((length + TILE - 1) // TILE, 2)
    start = TILE * torch.arange(tiles, device=device)
    query = (start[:, None] + torch.arange(TILE, device=device)).clamp(max=length - 1)
    first = query if neighborhood.border == "zero" else query - radius
    if neighborhood.border == "shift":
        first = first.clamp(max=length - size).clamp(min=0)
    last = length + 2 * radius - 1 if neighborhood.border == "zero" else length - 1
    key = first[:, :1] + torch.arange(size + TILE - 1, device=device)
    inside = (key[:, None] >= first[:, :, None]) & (key[:, None] < first[:, :, None] + size)
    return query, key.clamp(0, last), ~(inside & ((key >= 0) & (key <= last))[:, None])


def _tiles(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, C, H, W) → (batch · tiles, pixels of a tile, C): the pixels of numbers (tiles, side) on each axis."""
    numbers = rows[:, None, :, None] * features.shape[3] + columns[:, None, :]
    gathered = _pixels(features).index_select(1, numbers.flatten())
    return gathered.view(-1, rows.shape[1] * columns.shape[1], features.shape[1])


def _pixels(features: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H · W, C)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)
