"""Non-local attention over a neighborhood, tile by tile.

The queries of a tile share most of their keys: the windows of 8 × 8 queries, each 45 × 45, lie in one
region of 52 × 52. So a tile is two matrix products over that region, queries × keys and weights ×
values. A mask leaves out keys outside of a query's window. The image is cut into strips as wide as the
region of a tile. Down a strip, the regions of successive tiles overlap in memory, so a run of tiles is
one batched product over views, and no region is copied.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import Segment, TopK, Whole, Window, segments
from toolbox.nonlocal_blocks.scratch import Scratch, reusable
from toolbox.nonlocal_blocks.traced import attend_at_once
from toolbox.nonlocal_blocks.weighting import Weighting, weights_of

# Raw correlations, which propagation adds up: one tensor (batch · tiles, queries, keys) per run of tiles.
Correlation = tuple[Tensor, ...]

TILE = 8  # queries per side of a tile: a larger tile masks out more, the product of a smaller one is too thin
WHOLE_IMAGE_QUERIES = 1024  # queries at a time when each sees the whole image
PAIRS_AT_A_TIME = 2**21  # pairs of queries and keys in one run, so that their scores stay in the cache


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    neighborhood: Window | TopK | Whole,
    previous: Correlation | None = None,
    weighting: Weighting = "softmax",
    *,
    propagates: bool = False,
) -> tuple[Tensor, Correlation | None]:
    """Average the values of each pixel's neighborhood, weighted by the correlation.

    Args:
        queries: (B, L, H, W), θ in the NLRN paper.
        keys: (B, L, H, W), φ.
        values: (B, C, H, W), g.
        neighborhood: the pixels that each pixel sees.
        previous: raw correlations of an earlier call, to add before weighting. Do not use them
            again: unless gradients are recorded, the sum is written over them.
        weighting: ``softmax`` of the correlation, or ``mean``, the correlation divided by the
            number of pixels in the neighborhood.
        propagates: whether to return the raw correlations, which take far more memory than the rest.

    Returns:
        (B, C, H, W), and the raw correlations or None: θφᵀ plus ``previous``, −inf outside the window.
    """
    if torch.compiler.is_compiling():  # also by torch.export
        before = None if previous is None else previous[0]
        gathered, score = attend_at_once(queries, keys, values, neighborhood, before, weighting)
        return gathered, (score,) if propagates else None
    batch, _, height, width = queries.shape
    if isinstance(neighborhood, Whole):
        tile = max(1, WHOLE_IMAGE_QUERIES // width), width
    else:
        tile = TILE, TILE
        if neighborhood.border == "zero":
            margin = neighborhood.size // 2
            keys, values = (F.pad(each, (margin, margin, margin, margin)) for each in (keys, values))
    rows, columns = segments(height, neighborhood, tile[0]), segments(width, neighborhood, tile[1])
    # Channels last, as in the networks, so that none of this is a copy.
    queries, keys, values = (each.permute(0, 2, 3, 1).contiguous() for each in (queries, keys, values))

    reuses = reusable(queries, keys, values, *(previous or ()))
    key_memory, value_memory, scores = (Scratch(queries, usable=reuses) for _ in range(3))
    earlier = iter(previous or ())
    correlation: list[Tensor] = []
    # The entries of earlier correlations outside of the window are −inf already.
    outside = {} if previous else {segment.alike(): segment.outside(queries) for segment in {*rows, *columns}}
    runs = {x.alike(): list(_runs(rows, x, batch)) for x in columns}
    strips = []
    for x in columns:
        strip_queries = queries[:, :, x.start : x.stop]
        strip_keys = key_memory.copied(keys[:, :, x.key_start : x.key_stop])
        strip_values = value_memory.copied(values[:, :, x.key_start : x.key_stop])
        strip_results = []
        for run in runs[x.alike()]:
            query = strip_queries[:, run[0].start : run[-1].stop].reshape(batch * len(run), -1, queries.shape[3])
            key, value = _regions(strip_keys, run), _regions(strip_values, run)  # (B · tiles, L or C, keys)
            shape = (query.shape[0], query.shape[1], value.shape[2])
            if previous is not None:
                start = next(earlier)
            else:
                room = None if propagates else scores.room(*shape)
                start = queries.new_empty(shape) if room is None else room
                _mask(outside[run[0].alike()], outside[x.alike()], start)
            score = torch.baddbmm(start, query, key, out=start if reuses else None)
            if propagates:
                correlation.append(score)
            weights = weights_of(score, neighborhood, weighting, scores.room(*shape))
            gathered = torch.bmm(weights, value.mT)
            strip_results.append(gathered.view(batch, run[-1].stop - run[0].start, x.stop - x.start, -1))
        strips.append(torch.cat(strip_results, 1))
    return torch.cat(strips, 2).permute(0, 3, 1, 2), tuple(correlation) if propagates else None


def _runs(rows: list[Segment], x: Segment, batch: int) -> Iterator[list[Segment]]:
    """Runs of successive, alike tiles for one batched product each, short enough for the cache."""
    start = 0
    while start < len(rows):
        y = rows[start]
        most = max(1, PAIRS_AT_A_TIME // (batch * y.pairs() * x.pairs()))
        stop = start + 1
        while stop < min(start + most, len(rows)) and rows[stop].alike() == y.alike():
            stop += 1
        yield rows[start:stop]
        start = stop


def _regions(strip: Tensor, run: list[Segment]) -> Tensor:
    """The keys or values (B, H, columns, C) of each tile of a run, (B · tiles, C, keys); a view if B is 1."""
    start, stop = run[0].key_start, run[-1].key_stop
    tile, region, columns = run[0].stop - run[0].start, run[0].key_stop - run[0].key_start, strip.shape[2]
    return strip[:, start:stop].flatten(1, 2).unfold(1, region * columns, tile * columns).flatten(0, 1)


def _mask(y: Tensor, x: Tensor, scores: Tensor) -> None:
    """Write −inf to the scores (tiles, queries, keys) where the key is outside the window, else 0.

    y and x say what is outside along each axis, as (queries, keys).
    """
    pairs = scores.view(-1, len(y), len(x), y.shape[1], x.shape[1])
    torch.add(y[:, None, :, None].expand_as(pairs), x[:, None, :], out=pairs)
