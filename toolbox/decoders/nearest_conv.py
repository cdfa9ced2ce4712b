"""Nearest interpolation and convolutions: a fixed scale without the checkerboards of sub-pixel convolution."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo

FIRST_SLOPE, SLOPE = 0.01, 0.2  # of the leaky ReLUs, the first one PyTorch's default


class NearestConvConfig(DecoderConfig):
    """Settings of the nearest-conv decoder."""

    scale: Literal[2, 4]
    channels: int = Field(default=64, gt=0, description="channels of every convolution but the last")

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return 3


class NearestConv(nn.Module):
    """(B, features, H, W) → (B, channels, s·H, s·W): nearest ×2 and a convolution once or twice, then two more.

    A 3×3 convolution comes first, and a leaky ReLU follows every convolution but the last.

    Source: Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018; layers as in
    SwinIR's published code for real photographs (Liang et al., ICCVW 2021).
    """

    def __init__(self, config: NearestConvConfig, features: int, channels: int) -> None:
        super().__init__()
        width = config.channels
        self.first = nn.Conv2d(features, width, 3, padding=1)
        self.enlarged = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(config.scale // 2))
        self.fine = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (s·H, s·W) → (B, channels, s·H, s·W)."""
        features = F.leaky_relu(self.first(features), FIRST_SLOPE)
        for convolution in self.enlarged:
            features = F.leaky_relu(convolution(F.interpolate(features, scale_factor=2, mode="nearest")), SLOPE)
        image: Tensor = self.last(F.leaky_relu(self.fine(features), SLOPE))
        return image


NEAREST_CONV = ComponentInfo(
    kind="decoder",
    name="nearest-conv",
    factory=NearestConv,
    config=NearestConvConfig,
    summary="nearest interpolation and convolutions, ×2 or ×4",
    paper="Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018",
    example={"scale": 4, "channels": 4},
    url="https://arxiv.org/abs/1809.00219",
)
