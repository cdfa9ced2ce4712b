"""RDN: densely connected blocks with local skips, fused globally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.config import EncoderConfig
from toolbox.records import ComponentInfo


class RDNConfig(EncoderConfig):
    """Settings of RDN. The presets ``A`` and ``B`` are the published ones; B is the default."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "A": {"channels": 64, "blocks": 20, "layers": 6, "growth": 32},
        "B": {"channels": 64, "blocks": 16, "layers": 8, "growth": 64},
    }
    channels: int = Field(default=64, gt=0, description="G0 in the paper")
    blocks: int = Field(default=16, gt=0, le=1000, description="residual dense blocks, D in the paper")
    layers: int = Field(default=8, gt=0, le=1000, description="convolutions in each block, C in the paper")
    growth: int = Field(default=64, gt=0, description="channels that each convolution adds, G in the paper")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        return 3 + self.blocks * self.layers


class ResidualDenseBlock(nn.Module):
    """Each convolution sees the outputs of all before it. A 1×1 fusion and a skip close the block."""

    def __init__(self, config: RDNConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(config.channels + i * config.growth, config.growth, 3, padding=1) for i in range(config.layers)
        )
        self.fusion = nn.Conv2d(config.channels + config.layers * config.growth, config.channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        dense = features
        for conv in self.convs:
            dense = torch.cat((dense, F.relu(conv(dense))), 1)
        return features + self.fusion(dense)


class RDN(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range.

    Source: Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018. Its
    upsampler is the pixel-shuffle decoder here.
    """

    def __init__(self, config: RDNConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.shallow_a = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.shallow_b = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualDenseBlock(config) for _ in range(config.blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d(config.blocks * config.channels, config.channels, 1),
            nn.Conv2d(config.channels, config.channels, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.shallow_a(image)
        features: Tensor = self.shallow_b(shallow)
        outputs = []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        return shallow + self.fusion(torch.cat(outputs, 1))


RDN_ENCODER = ComponentInfo(
    kind="encoder",
    name="rdn",
    factory=RDN,
    config=RDNConfig,
    summary="residual dense blocks, fused locally and globally",
    paper="Zhang et al., Residual Dense Network for Image Super-Resolution, CVPR 2018",
    example={"channels": 4, "blocks": 2, "layers": 2, "growth": 3},
    url="https://arxiv.org/abs/1802.08797",
)
