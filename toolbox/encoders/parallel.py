"""Encoders side by side on the same image."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo
from toolbox.spec import EncoderSpec


class ParallelConfig(EncoderConfig):
    """Settings of encoders in parallel."""

    encoders: Annotated[tuple[EncoderSpec, ...], Field(min_length=1)] = Field(description="each encodes the image")
    join: Literal["concat", "sum"] = Field(default="concat", description="how to join their features")

    def out_channels(self, channels: int) -> int:
        widths = [encoder.config.out_channels(channels) for encoder in self.encoders]
        if self.join == "sum" and len(set(widths)) > 1:
            raise ValueError(f"parallel got encoders of {' and '.join(map(str, widths))} channels to sum; use concat")
        return sum(widths) if self.join == "concat" else widths[0]

    def receptive_field(self) -> int | None:
        radii = [encoder.config.receptive_field() for encoder in self.encoders]
        return None if None in radii else max(radii)


class Parallel(nn.Module):
    """Image (B, channels, H, W) → features (B, out_channels, H, W): the encoders' features, joined."""

    def __init__(self, config: ParallelConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.join = config.join
        self.encoders = nn.ModuleList(encoder.build(channels=channels) for encoder in config.encoders)

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        features = [encoder(image) for encoder in self.encoders]
        return torch.cat(features, 1) if self.join == "concat" else torch.stack(features).sum(0)


PARALLEL = ComponentInfo(
    kind="encoder",
    name="parallel",
    factory=Parallel,
    config=ParallelConfig,
    summary="encoders side by side, their features concatenated or summed",
    paper="none: composition",
    example={"encoders": [{"name": "edsr", "channels": 4, "blocks": 1}, {"name": "edsr", "channels": 3, "blocks": 2}]},
)
