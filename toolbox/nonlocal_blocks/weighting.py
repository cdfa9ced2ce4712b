"""Turn raw correlations into weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from toolbox.nonlocal_blocks.neighborhood import TopK, Whole, Window

Weighting = Literal["softmax", "mean"]


def weights_of(
    score: Tensor, neighborhood: Window | TopK | Whole, weighting: Weighting, memory: Tensor | None = None
) -> Tensor:
    """Raw correlations (batch, queries, keys), −inf outside the neighborhood → weights, in ``memory`` if given."""
    if isinstance(neighborhood, TopK):
        best = score.topk(min(neighborhood.k, score.shape[-1]), -1)
        score = torch.full_like(score, float("-inf")).scatter(-1, best.indices, best.values)
    if weighting == "softmax":
        return torch.softmax(score, -1, out=memory)
    outside = score == float("-inf")
    return score.masked_fill(outside, 0) / (~outside).sum(-1, keepdim=True)
