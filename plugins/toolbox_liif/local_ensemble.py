"""LIIF's decoder: a small network at each position, averaged over the four feature pixels around it.

Its first layer is linear in the features, W [z; p] = W_z z + W_p p, and z is the same for all
positions of one feature pixel. So W_z z, a 3×3 convolution, is computed once per feature pixel;
only W_p p and the layers behind it are computed per position.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import (
    ComponentInfo,
    Content,
    DecoderConfig,
    ImplicitDecoder,
    Positions,
    area_weights,
    corners,
    stack,
)
from toolbox_liif.plain import local_ensemble


class LocalEnsembleConfig(DecoderConfig):
    """Settings of LIIF's decoder."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(256, 256, 256, 256), min_length=1, description="channels of each layer"
    )
    feature_unfolding: bool = Field(default=True, description="each feature includes its 3×3 neighborhood")
    local_ensemble: bool = Field(default=True, description="average over the four nearest feature pixels")
    cell_decoding: bool = Field(default=True, description="the network knows the size of the output pixel")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return int(self.feature_unfolding) + int(self.local_ensemble)


class LocalEnsemble(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The inputs of a position are its offset (y, x) from a feature pixel's center in half feature pixels
    and, with cell decoding, its cell in half feature pixels. The local ensemble averages over the four
    feature pixels around the position, each weighted by the area between the position and the opposite
    one. Without it only the nearest counts.

    This departs from the shared conventions as ``toolbox.decoders.corners`` does. The feature pixel is
    the one that covers the position shifted by half a feature pixel and 1e-6, clamped inside the image,
    so that at the border the same pixel counts more than once.

    Source: Chen et al., "Learning Continuous Image Representation with Local Implicit Image
    Function", CVPR 2021, Section 3, after the published code.
    """

    def __init__(self, config: LocalEnsembleConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config = config
        kernel = 3 if config.feature_unfolding else 1
        self.content = nn.Conv2d(features, config.hidden[0], kernel, padding=kernel // 2)  # W_z and the bias
        self.position = nn.Linear(4 if config.cell_decoding else 2, config.hidden[0], bias=False)  # W_p
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for before, after in pairwise(config.hidden):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.hidden[-1], channels))

    def prepare(self, features: Tensor) -> Tensor:
        return rearrange(self.content(features), "b c h w -> b h w c")

    def sample(self, content: Content, positions: Positions) -> Tensor:
        height, width = content.height, content.width
        cell = (positions.cell[0] * height, positions.cell[1] * width) if self.config.cell_decoding else ()
        around = corners(positions, height, width, ensemble=self.config.local_ensemble)
        weighted = []
        for corner, weight in zip(around, area_weights(around, content.values), strict=True):
            position = self.position(stack(corner.down, corner.right, *cell, like=content.values))
            prediction = self.layers(content.at(corner.row, corner.column).add_(position))
            weighted.append(prediction * weight[..., None])
        return torch.stack(weighted).sum(0)


LOCAL_ENSEMBLE = ComponentInfo(
    kind="decoder",
    name="local-ensemble",
    factory=LocalEnsemble,
    config=LocalEnsembleConfig,
    summary="LIIF: a network at each position, averaged over the four feature pixels around it, at any size",
    paper="Chen et al., Learning Continuous Image Representation with Local Implicit Image Function, CVPR 2021",
    plain=local_ensemble,
    example={"hidden": [5, 6]},
    url="https://arxiv.org/abs/2012.09161",
)
