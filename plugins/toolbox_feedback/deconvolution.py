"""SRFBN's head: a transposed convolution enlarges the features, and a convolution makes them an image."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, DecoderConfig
from toolbox_feedback.projection import Scale, up


class DeconvolutionConfig(DecoderConfig):
    """Settings of the head."""

    scale: Scale

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return 2 if self.scale == 2 else 1


class Deconvolution(nn.Module):
    """(B, features, H, W) → (B, channels, s·H, s·W).

    Source: Li et al., "Feedback Network for Image Super-Resolution", CVPR 2019. The published network adds the
    bilinearly enlarged image, which is the architecture's ``global_skip: bilinear``.
    """

    def __init__(self, config: DeconvolutionConfig, features: int, channels: int) -> None:
        super().__init__()
        self.up = up(features, config.scale)
        self.conv = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (s·H, s·W) → (B, channels, s·H, s·W)."""
        image: Tensor = self.conv(self.up(features))
        return image


DECONVOLUTION = ComponentInfo(
    kind="decoder",
    name="deconvolution",
    factory=Deconvolution,
    config=DeconvolutionConfig,
    summary="a transposed convolution with a PReLU, then a convolution, ×2, ×3, ×4 or ×8",
    paper="Li et al., Feedback Network for Image Super-Resolution, CVPR 2019",
    example={"scale": 2},
    url="https://arxiv.org/abs/1903.09814",
)
