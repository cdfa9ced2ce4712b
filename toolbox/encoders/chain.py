"""Encoders one after the other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec


class ChainConfig(EncoderConfig):
    """Settings of a chain."""

    encoders: Annotated[tuple[EncoderSpec, ...], Field(min_length=1)] = Field(
        description="the first encodes the image, each other one the features of the one before"
    )

    def out_channels(self, channels: int) -> int:
        for encoder in self.encoders:
            channels = encoder.config.out_channels(channels)
        return channels

    def receptive_field(self) -> int | None:
        radii = [encoder.config.receptive_field() for encoder in self.encoders]
        return None if None in radii else sum(radii)


class Chain(nn.Module):
    """Image (B, channels, H, W) → features (B, channels of the last encoder, H, W)."""

    def __init__(self, config: ChainConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.encoders = nn.ModuleList()
        for encoder in config.encoders:
            self.encoders.append(encoder.build(channels=channels))
            channels = encoder.config.out_channels(channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        for encoder in self.encoders:
            image = encoder(image)
        return image


CHAIN = ComponentInfo(
    kind="encoder",
    name="chain",
    factory=Chain,
    config=ChainConfig,
    summary="encoders one after the other",
    paper="none: composition",
    example={"encoders": [{"name": "edsr", "channels": 4, "blocks": 1}, {"name": "edsr", "channels": 3, "blocks": 1}]},
)
