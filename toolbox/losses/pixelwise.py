"""Losses that compare pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from toolbox.config import LossConfig
from toolbox.learning import LossInput
from toolbox.records import LossInfo

Distance = Callable[[Tensor, Tensor], Tensor]


class PixelwiseConfig(LossConfig):
    """No settings."""

    pointwise: ClassVar[bool] = True


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """The mean of sqrt(d² + ε²) with ε = 1e-3, an L1 loss that is smooth at zero."""
    return ((restored - clean).square() + 1e-6).sqrt().mean()


def _compared(distance: Distance, given: LossInput) -> Tensor:
    return distance(given.restored, given.clean)


def _factory(distance: Distance, config: Any, restorer: Any) -> Callable[[LossInput], Tensor]:
    return partial(_compared, distance)


L1 = LossInfo(
    name="l1",
    factory=partial(_factory, F.l1_loss),
    config=PixelwiseConfig,
    summary="mean absolute difference",
    source="EDSR (Lim et al., CVPRW 2017) and most networks for super-resolution since",
)
MSE = LossInfo(
    name="mse",
    factory=partial(_factory, F.mse_loss),
    config=PixelwiseConfig,
    summary="mean squared difference",
    source="DnCNN (Zhang et al., IEEE TIP 2017), NLRN (Liu et al., NeurIPS 2018)",
)
CHARBONNIER = LossInfo(
    name="charbonnier",
    factory=partial(_factory, charbonnier),
    config=PixelwiseConfig,
    summary="mean absolute difference, smooth at zero",
    source="Lai et al., Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution, CVPR 2017",
)
