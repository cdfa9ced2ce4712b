"""Sub-pixel convolution without a convolution behind it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo


class PixelShuffleDirectConfig(DecoderConfig):
    """Settings of the direct pixel-shuffle decoder."""

    scale: Literal[2, 3, 4, 8]

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        return 1


class PixelShuffleDirect(nn.Module):
    """(B, features, H, W) → (B, channels, s·H, s·W): one convolution gives the colors of all s² pixels.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", CVPR 2016.
    """

    def __init__(self, config: PixelShuffleDirectConfig, features: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, channels * config.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(config.scale)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (s·H, s·W) → (B, channels, s·H, s·W)."""
        image: Tensor = self.shuffle(self.conv(features))
        return image


PIXEL_SHUFFLE_DIRECT = ComponentInfo(
    kind="decoder",
    name="pixel-shuffle-direct",
    factory=PixelShuffleDirect,
    config=PixelShuffleDirectConfig,
    summary="one convolution and a pixel shuffle, ×2, ×3, ×4 or ×8, as in efficient networks",
    paper="Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel "
    "Convolutional Neural Network, CVPR 2016",
    example={"scale": 2},
    url="https://arxiv.org/abs/1609.05158",
)
