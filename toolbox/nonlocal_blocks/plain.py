"""Soft block matching as it is written down: every pixel's window gathered, correlated, averaged.

An oracle for the fast block, and what ``toolbox bench`` measures it against.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import segments


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
