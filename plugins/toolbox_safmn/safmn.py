"""SAFMN's body: features at several resolutions weigh those at full resolution."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, EncoderConfig, Padding, fault

EPSILON = 1e-6  # of the layer norms


class SAFMNConfig(EncoderConfig):
    """Settings of SAFMN; the defaults are the published ones."""

    channels: int = Field(default=36, gt=0, description="a multiple of levels")
    blocks: int = Field(default=8, gt=0, le=1000, description="blocks of modulation and convolutions")
    levels: int = Field(default=4, gt=0, le=6, description="resolutions; each halves the one before")
    hidden: int = Field(default=72, gt=0, description="channels between the two convolutions of a block")

    def out_channels(self, channels: int) -> int:
        return self.channels

    def receptive_field(self) -> int | None:
        # A convolution looks past the edge of the coarsest cell, and the modulation into the whole cell beyond.
        return 1 + self.blocks * 2 * self.alignment()

    def alignment(self) -> int:
        return int(2 ** (self.levels - 1))

    def padding(self) -> Padding:
        return Padding(self.alignment())

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if self.channels % self.levels:
            raise fault(("channels",), self.channels, f"a multiple of {self.levels}, the number of levels")
        return self


class Modulation(nn.Module):
    """x · GELU(conv(all levels of x)), (B, C, H, W) → the same shape; sides are multiples of 2^(levels − 1).

    Level i has its share of the channels, reduced by the maximum of each 2^i × 2^i pixels, filtered channel by channel
    and enlarged again by repetition.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        share = channels // levels
        self.filters = nn.ModuleList(nn.Conv2d(share, share, 3, padding=1, groups=share) for _ in range(levels))
        self.fusion = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        seen = []
        shares = features.chunk(len(self.filters), 1)
        for level, (share, filter_) in enumerate(zip(shares, self.filters, strict=True)):
            filtered: Tensor = filter_(F.max_pool2d(share, 2**level) if level else share)
            seen.append(F.interpolate(filtered, scale_factor=2.0**level) if level else filtered)
        return F.gelu(self.fusion(torch.cat(seen, 1))) * features


class SAFMNBlock(nn.Module):
    """x + modulation(norm(x)), then x + convolutions(norm(x)); (B, C, H, W) → the same shape."""

    def __init__(self, config: SAFMNConfig) -> None:
        super().__init__()
        channels, hidden = config.channels, config.hidden
        self.norm_a, self.norm_b = (nn.LayerNorm(channels, EPSILON) for _ in range(2))
        self.modulation = Modulation(channels, config.levels)
        self.mixing = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1), nn.GELU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        features = features + self.modulation(_normed(self.norm_a, features))
        mixed: Tensor = self.mixing(_normed(self.norm_b, features))
        return features + mixed


def _normed(norm: nn.LayerNorm, features: Tensor) -> Tensor:
    """Layer norm over the channels of each pixel."""
    normed: Tensor = norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return normed


class SAFMN(nn.Module):
    """Image (B, channels, H, W) → features (B, config.channels, H, W), any range; sides as ``padding`` says.

    Departs from the published code for sides that are no multiple of the coarsest cell, 8 pixels. There the published
    cells overlap, and all of them depend on the size of the picture. Here the restorer pads the picture by reflection,
    so that cells have one size and tiles give the result of the whole picture.

    Source: Sun et al., "Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution", ICCV 2023,
    Section 3, after the published code.
    """

    def __init__(self, config: SAFMNConfig, channels: int) -> None:
        super().__init__()
        self.out_channels = config.out_channels(channels)
        self.head = nn.Conv2d(channels, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(SAFMNBlock(config) for _ in range(config.blocks)))

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels, H, W) → (B, out_channels, H, W)."""
        shallow: Tensor = self.head(image)
        deep: Tensor = self.blocks(shallow)
        return deep + shallow


SAFMN_ENCODER = ComponentInfo(
    kind="encoder",
    name="safmn",
    factory=SAFMN,
    config=SAFMNConfig,
    summary="blocks in which several resolutions weigh the features, small and fast without a GPU",
    paper="Sun et al., Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution, ICCV 2023",
    example={"channels": 4, "blocks": 2, "levels": 2, "hidden": 5},
    url="https://arxiv.org/abs/2302.13800",
)
