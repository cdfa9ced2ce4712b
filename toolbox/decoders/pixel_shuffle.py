"""Sub-pixel convolution: a fixed integer scale."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import DecoderConfig
from toolbox.records import ComponentInfo

SLOPE = 0.01  # of the leaky ReLU, PyTorch's default


class PixelShuffleConfig(DecoderConfig):
    """Settings of the pixel-shuffle decoder."""

    scale: Literal[2, 3, 4, 8]
    channels: int = Field(default=64, gt=0, description="channels after each shuffle")
    first: int | None = Field(
        default=None,
        gt=0,
        description="channels of a convolution with leaky ReLU before the shuffles; by default there is none",
    )

    def sizes(self) -> Literal["same", "any"] | int:
        return self.scale

    def receptive_field(self) -> int | None:
        # One convolution at the features' resolution, one at each further stage, one at the output's.
        return (3 if self.scale in (4, 8) else 2) + (self.first is not None)


class PixelShuffle(nn.Module):
    """(B, features, H, W) → (B, channels, s·H, s·W): convolution and shuffle, then a convolution.

    ×4 and ×8 are two and three shuffles by 2. With ``first``, another convolution and a leaky ReLU come before, as in
    the published SwinIR. Source: Shi et al., "Real-Time Single Image and Video Super-Resolution
    Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016; layers as in the
    published EDSR (64 channels after a shuffle) and RDN (its growth rate).
    """

    def __init__(self, config: PixelShuffleConfig, features: int, channels: int) -> None:
        super().__init__()
        self.first: nn.Module = nn.Identity()
        if config.first is not None:
            self.first = nn.Sequential(nn.Conv2d(features, config.first, 3, padding=1), nn.LeakyReLU(SLOPE))
            features = config.first
        stages: list[nn.Module] = []
        for factor in {4: (2, 2), 8: (2, 2, 2)}.get(config.scale, (config.scale,)):
            stages += [nn.Conv2d(features, config.channels * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
            features = config.channels
        self.upscale = nn.Sequential(*stages)
        self.conv = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) and (s·H, s·W) → (B, channels, s·H, s·W)."""
        image: Tensor = self.conv(self.upscale(self.first(features)))
        return image


PIXEL_SHUFFLE = ComponentInfo(
    kind="decoder",
    name="pixel-shuffle",
    factory=PixelShuffle,
    config=PixelShuffleConfig,
    summary="sub-pixel convolution, ×2, ×3, ×4 or ×8",
    paper="Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel "
    "Convolutional Neural Network, CVPR 2016",
    example={"scale": 2, "channels": 4},
    url="https://arxiv.org/abs/1609.05158",
)
