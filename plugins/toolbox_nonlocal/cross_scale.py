"""Attention across scales as a non-local block: what is gathered at s times the size is brought back to size."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, CrossScaleAttention, NonLocalConfig, cross_scale_attention


class CrossScaleConfig(NonLocalConfig):
    """Settings of attention across scales."""

    scale: Literal[2, 3, 4] = Field(default=2, description="how much larger the gathered patches are")

    def receptive_field(self) -> int | None:
        return None


class CrossScale(nn.Module):
    """x + conv(attention across scales(x)); nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The receptive field is the whole image. A convolution of stride
    ``scale`` brings the gathered features back to size, as in CiaoSR; CSNLN gathers at the larger size. The
    convolution starts at zero, so the block starts as the identity.

    Source: Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars
    Mining", CVPR 2020, Section 3.1, as it is changed in Cao et al., "CiaoSR", CVPR 2023.
    """

    def __init__(self, config: CrossScaleConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.attention = CrossScaleAttention(channels, (config.scale,))
        for parameter in self.attention.shrink.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        return features + self.attention(features), None


def _plain(block: Any, features: Tensor) -> Tensor:
    return features + cross_scale_attention(block.attention, features)


CROSS_SCALE = ComponentInfo(
    kind="nonlocal-block",
    name="cross-scale",
    factory=CrossScale,
    config=CrossScaleConfig,
    summary="attention to patches of the image that look like a pixel's own when they are shrunk",
    paper="Mei et al., Image Super-Resolution with Cross-Scale Non-Local Attention, CVPR 2020",
    plain=_plain,
    url="https://arxiv.org/abs/2006.01424",
)
