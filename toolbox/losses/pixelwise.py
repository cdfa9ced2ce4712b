"""Losses that compare pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from toolbox.config import LossConfig
from toolbox.learning import LossInput
from toolbox.records import LossInfo


class PixelwiseConfig(LossConfig):
    """No settings."""

    pointwise: ClassVar[bool] = True


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean of sqrt(d² + ε²) with ε = 1e-3: L1 that is smooth at zero."""
    return ((restored - clean).square() + 1e-6).sqrt().mean()


def _of(distance: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Callable[[LossInput], Tensor]]:
    """The factory of a loss that is a distance of two tensors."""
    return lambda config, restorer: lambda given: distance(given.restored, given.clean)


L1 = LossInfo(
    name="l1",
    factory=_of(F.l1_loss),
    config=PixelwiseConfig,
    summary="mean absolute difference",
    source="EDSR (Lim et al., CVPRW 2017) and most networks for super-resolution since",
)
MSE = LossInfo(
    name="mse",
    factory=_of(F.mse_loss),
    config=PixelwiseConfig,
    summary="mean squared difference",
    source="DnCNN (Zhang et al., IEEE TIP 2017), NLRN (Liu et al., NeurIPS 2018)",
)
CHARBONNIER = LossInfo(
    name="charbonnier",
    factory=_of(charbonnier),
    config=PixelwiseConfig,
    summary="mean absolute difference, smooth at zero",
    source="Lai et al., Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution, CVPR 2017",
)
