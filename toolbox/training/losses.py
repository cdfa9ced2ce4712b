"""Losses: the distance of a restored batch from the clean one as a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """The mean of sqrt(d² + ε²) with ε = 1e-3, an L1 loss that is smooth at zero.

    Source: Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017.
    """
    return ((restored - clean).square() + 1e-6).sqrt().mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "charbonnier": charbonnier,
}
