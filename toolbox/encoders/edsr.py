"""EDSR's body: residual blocks without batch norm, and a long skip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.registry import ComponentInfo


class EDSRConfig(EncoderConfig):
    """Settings of EDSR; presets ``baseline`` and ``full`` are the published ones."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "baseline": {"channels": 64, "blocks": 16, "residual_scale": 1.0},
        "full": {"channels": 256, "blocks": 32, "residual_scale": 0.1},
    }
    channels: int = Field(default=64, gt=0)
    blocks: int = Field(default=16, gt=0, description="residual blocks")
    residual_scale: float = Field(default=1.0, gt=0, description="each block's output is multiplied by this")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return 2 + 2 * self.blocks


class ResidualBlock(nn.Module):
    """x + scale · conv(ReLU(conv(x))), (B, C, H, W) → the same shape."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return features + self.scale * self.body(features)


class EDSR(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW
    2017. The mean shift of the published code is the restorer's normalization here, and its
    upsampler is the pixel-shuffle decoder.
    """

    def __init__(self, config: EDSRConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.receptive_field = config.receptive_field()
        self.head = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(config.channels, config.residual_scale) for _ in range(config.blocks))
        )
        self.tail = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        return shallow + self.tail(self.blocks(shallow))


EDSR_ENCODER = ComponentInfo(
    kind="encoder",
    name="edsr",
    factory=EDSR,
    config=EDSRConfig,
    summary="residual blocks without batch norm and a long skip",
    paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017",
)
