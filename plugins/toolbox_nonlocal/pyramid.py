"""Pyramid attention: each pixel gathers patches that look like its own, from the image and from smaller copies."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Grid, NonLocalConfig, attend_patches
from toolbox_nonlocal.plain import pyramid_attention

OVERLAPS = 4.0  # divisor of the patches that lie over one another


class PyramidConfig(NonLocalConfig):
    """Settings of pyramid attention."""

    levels: int = Field(default=5, ge=1, le=9, description="copies of the features, each smaller by a tenth of them")
    embedding_channels: int = Field(default=32, gt=0, description="half the channels in the denoiser")
    scale: float = Field(default=1.0, gt=0, description="the features are multiplied by this, not what is gathered")

    def receptive_field(self) -> int | None:
        return None


class Pyramid(nn.Module):
    """scale · x + gathered patches of all levels / 4; nothing is propagated.

    Features (B, C, H, W), any range → the same shape. The receptive field is the whole image: patches of all places
    and levels compete in one softmax. Level i is the features at 1 − i / 10 of their size, bicubic without
    antialiasing. A level without a pixel is left out, where the published code fails.

    Source: Mei et al., "Pyramid Attention Networks for Image Restoration", 2020, after the published code.
    """

    def __init__(self, config: PyramidConfig, channels: int) -> None:
        super().__init__()
        self.levels, self.scale = config.levels, config.scale
        self.out_channels = channels
        self.query, self.key, self.value = (
            nn.Sequential(nn.Conv2d(channels, width, 1), nn.PReLU())
            for width in (config.embedding_channels, config.embedding_channels, channels)
        )

    def forward(self, features: Tensor, correlation: object = None) -> tuple[Tensor, None]:
        """(features, anything) → (features, None)."""
        grids = [Grid(self.key(level), self.value(level)) for level in copies(features, self.levels)]
        gathered = attend_patches(self.query(features), grids)
        return self.scale * features + gathered / OVERLAPS, None


def copies(features: Tensor, levels: int) -> Iterator[Tensor]:
    """The features, and smaller copies of them."""
    yield features
    for level in range(1, levels):
        ratio = 1 - level / 10
        # A trace is for sides of two pixels and more, which leave one on every level but the last.
        if torch.compiler.is_compiling() or min(int(side * ratio) for side in features.shape[2:]) > 0:
            # The given ratio decides the coordinates, not that of the sizes.
            yield F.interpolate(features, scale_factor=ratio, mode="bicubic", align_corners=False)


PYRAMID = ComponentInfo(
    kind="nonlocal-block",
    name="pyramid",
    factory=Pyramid,
    config=PyramidConfig,
    summary="attention to 3 × 3 patches of the whole image and of smaller copies of it",
    paper="Mei et al., Pyramid Attention Networks for Image Restoration, 2020",
    plain=pyramid_attention,
    example={"levels": 3, "embedding_channels": 2},
    url="https://arxiv.org/abs/2004.13824",
)
