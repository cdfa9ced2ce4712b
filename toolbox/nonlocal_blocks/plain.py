"""Plain non-local blocks, as papers state them: gather the window or patches of every pixel, correlate, average.

The tests compare the fast blocks with them, and ``toolbox bench`` times one against the other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.config import Padding
from toolbox.nonlocal_blocks.cross_scale import OVERLAPS, shrunk
from toolbox.nonlocal_blocks.neighborhood import segments
from toolbox.nonlocal_blocks.patches import SHARPNESS, normalized_patches
from toolbox.padding import padded


def soft_block_matching(block: Any, features: Tensor) -> Tensor:
    """One state of a ``SoftBlockMatching`` with a window or the whole image, row by row."""
    height, width = features.shape[-2:]
    queries, keys, values = block.theta(features), block.phi(features), block.g(features)
    if getattr(block.neighborhood, "border", None) == "zero":
        margin = block.neighborhood.size // 2
        keys, values = (F.pad(each, [margin] * 4) for each in (keys, values))
    rows, columns = (segments(length, block.neighborhood, 1) for length in (height, width))
    result = torch.empty_like(features)
    for row in rows:
        seen = slice(row.key_start, row.key_stop)
        for column in columns:
            across = slice(column.key_start, column.key_stop)
            query = queries[:, :, row.start, column.start]
            score = torch.einsum("bl,blk->bk", query, keys[:, :, seen, across].flatten(2))
            weights = score.softmax(-1) if block.weighting == "softmax" else score / score.shape[-1]
            result[:, :, row.start, column.start] = torch.einsum(
                "bk,bck->bc", weights, values[:, :, seen, across].flatten(2)
            )
    return features + result


def cross_scale_attention(block: Any, features: Tensor) -> Tensor:
    """A ``CrossScaleAttention`` with all scores at once and the patches of values laid down at full size."""
    height, width = features.shape[-2:]
    gathered = []
    for scale, shrink in zip(block.scales, block.shrink, strict=True):
        whole = padded(features, Padding(scale))
        queries, keys, values = block.query(whole), block.key(shrunk(whole, scale)), block.value(whole)
        laid_down = plain_laid_down(queries, keys, values, scale)
        gathered.append(shrink(laid_down)[..., :height, :width] / OVERLAPS)
    return torch.cat(gathered, 1)


def plain_laid_down(queries: Tensor, keys: Tensor, values: Tensor, scale: int) -> Tensor:
    """Patches of 3s×3s values by the scores of unfolded 3×3 patches, laid over one another: (B, C, s · H, s · W)."""
    scores = SHARPNESS * (F.unfold(queries, 3, padding=1).mT @ normalized_patches(keys))
    patches = F.unfold(values, 3 * scale, padding=scale, stride=scale)
    size = scale * queries.shape[2], scale * queries.shape[3]
    return F.fold(patches @ scores.softmax(2).mT, size, 3 * scale, padding=scale, stride=scale)
