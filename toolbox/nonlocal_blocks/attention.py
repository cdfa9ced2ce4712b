"""Non-local attention over a neighborhood, tile by tile.

A tile of queries shares most of its keys: the windows of 16 × 16 queries, each 45 × 45, lie in one
region of 60 × 60. So a tile is two matrix products, queries × keys and weights × values, over that
region, with the pairs that are outside each other's window masked out. No pixel's window is ever
copied out on its own.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import Segment, TopK, Whole, Window, segments

# Raw correlations, one tensor (batch, queries, keys) per tile: what propagation adds up.
Correlation = tuple[Tensor, ...]
Weighting = Literal["softmax", "mean"]

TILE = 16  # queries per side of a tile: measured, 12 to 16 are best for windows of 15 to 45
WHOLE_IMAGE_QUERIES = 1024  # queries at a time when each sees the whole image


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    neighborhood: Window | TopK | Whole,
    previous: Correlation | None = None,
    weighting: Weighting = "softmax",
) -> tuple[Tensor, Correlation]:
    """Average the values of each pixel's neighborhood, weighted by the correlation.

    Args:
        queries: (B, L, H, W), θ in the NLRN paper.
        keys: (B, L, H, W), φ.
        values: (B, C, H, W), g.
        neighborhood: which pixels each pixel sees.
        previous: raw correlations to add before weighting, as an earlier call returned them.
        weighting: ``softmax`` of the correlation, or ``mean``: the correlation itself, divided by
            the number of pixels in the neighborhood.

    Returns:
        (B, C, H, W), and the raw correlations: θφᵀ plus ``previous``, −inf outside the window.
    """
    height, width = queries.shape[-2:]
    query_image = queries.permute(0, 2, 3, 1)  # channels last: a tile is then contiguous rows
    key_image = keys.permute(0, 2, 3, 1)
    value_image = values.permute(0, 2, 3, 1)
    if isinstance(neighborhood, Whole):
        rows = max(1, WHOLE_IMAGE_QUERIES // width)
        vertical = [Segment(y, min(y + rows, height), 0, height, None) for y in range(0, height, rows)]
        horizontal = [Segment(0, width, 0, width, None)]
    else:
        vertical = segments(height, neighborhood, TILE, queries.device)
        horizontal = segments(width, neighborhood, TILE, queries.device)
        if neighborhood.border == "zero":
            margin = neighborhood.size // 2
            key_image = F.pad(key_image, (0, 0, margin, margin, margin, margin))
            value_image = F.pad(value_image, (0, 0, margin, margin, margin, margin))

    bands: list[Tensor] = []
    correlation: list[Tensor] = []
    for y in vertical:
        band = []
        for x in horizontal:
            query = query_image[:, y.start : y.stop, x.start : x.stop].flatten(1, 2)
            key = key_image[:, y.key_start : y.key_stop, x.key_start : x.key_stop].flatten(1, 2)
            value = value_image[:, y.key_start : y.key_stop, x.key_start : x.key_stop].flatten(1, 2)
            if previous is not None:  # its entries outside the window are −inf already
                score = torch.baddbmm(previous[len(correlation)], query, key.transpose(1, 2))
            else:
                score = query @ key.transpose(1, 2)
                if (outside := _outside(y, x)) is not None:
                    score = score.masked_fill(outside, float("-inf"))
            correlation.append(score)
            gathered = _weights(score, neighborhood, weighting) @ value
            band.append(gathered.unflatten(1, (y.stop - y.start, x.stop - x.start)))
        bands.append(torch.cat(band, 2))
    return torch.cat(bands, 1).permute(0, 3, 1, 2), tuple(correlation)


def _weights(score: Tensor, neighborhood: Window | TopK | Whole, weighting: Weighting) -> Tensor:
    """Raw correlations (batch, queries, keys), −inf outside the neighborhood → weights."""
    if isinstance(neighborhood, TopK):
        best = score.topk(min(neighborhood.k, score.shape[-1]), -1)
        score = torch.full_like(score, float("-inf")).scatter(-1, best.indices, best.values)
    if weighting == "softmax":
        return score.softmax(-1)
    outside = score == float("-inf")
    return score.masked_fill(outside, 0) / (~outside).sum(-1, keepdim=True)


def _outside(y: Segment, x: Segment) -> Tensor | None:
    """(queries, keys): True where the key is outside the query's window; None when none is."""
    if y.allowed is None and x.allowed is None:
        return None
    device = (y.allowed if y.allowed is not None else x.allowed).device  # type: ignore[union-attr]  # one is set
    rows = y.allowed if y.allowed is not None else torch.ones(_extent(y), dtype=torch.bool, device=device)
    columns = x.allowed if x.allowed is not None else torch.ones(_extent(x), dtype=torch.bool, device=device)
    both = rows[:, None, :, None] & columns[None, :, None, :]
    return ~both.flatten(2).flatten(0, 1)


def _extent(segment: Segment) -> tuple[int, int]:
    return segment.stop - segment.start, segment.key_stop - segment.key_start
