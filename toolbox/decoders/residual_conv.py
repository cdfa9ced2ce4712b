"""NLRN's head: features become the residual of an image of the same size."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo
from toolbox.recurrent.per_state import EPSILON, MOMENTUM


class ResidualConvConfig(DecoderConfig):
    """No settings."""

    def sizes(self) -> Literal["same", "any"] | int:
        return "same"

    def receptive_field(self) -> int | None:
        return 1


class ResidualConv(nn.Module):
    """Batch norm, ReLU and a 3×3 convolution: (B, features, H, W) → (B, channels, H, W).

    Source: the head of Liu et al., NeurIPS 2018. The architecture's ``global_skip: bicubic`` adds
    the input image.
    """

    def __init__(self, config: ResidualConvConfig, features: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, EPSILON, MOMENTUM)
        self.conv = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (H, W) → (B, channels, H, W)."""
        image: Tensor = self.conv(F.relu(self.norm(features)))
        return image


RESIDUAL_CONV = ComponentInfo(
    kind="decoder",
    name="residual-conv",
    factory=ResidualConv,
    config=ResidualConvConfig,
    summary="batch norm, ReLU and one convolution at the same size",
    paper="Liu et al., Non-Local Recurrent Network for Image Restoration, NeurIPS 2018",
    url="https://arxiv.org/abs/1806.02919",
)
