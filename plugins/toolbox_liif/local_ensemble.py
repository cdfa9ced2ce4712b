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

from toolbox.plugin import ComponentInfo, Content, DecoderConfig, ImplicitDecoder, Positions, stack
from toolbox_liif.plain import local_ensemble

EPSILON = 1e-6  # the published shift and clamp, by which no position falls on an edge between pixels


class LocalEnsembleConfig(DecoderConfig):
    """Settings of LIIF's decoder."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(256, 256, 256, 256), min_length=1, description="channels of each layer"
    )
    feature_unfolding: bool = Field(default=True, description="a feature is seen with its 3×3 neighborhood")
    local_ensemble: bool = Field(default=True, description="average over the four nearest feature pixels")
    cell_decoding: bool = Field(default=True, description="the network knows the size of the output pixel")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return int(self.feature_unfolding) + int(self.local_ensemble)


class LocalEnsemble(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    A position's inputs are its offset (y, x) from a feature pixel's center in half feature pixels
    and, with cell decoding, its cell in half feature pixels. With the local ensemble the position
    is seen from the four feature pixels around it, each weighted by the area between the position
    and the opposite one; without it, from the nearest.

    Departs from the shared conventions: the feature pixel is the one that covers the position
    shifted by half a feature pixel and 1e-6, clamped inside the image, so that at the border the
    same pixel counts more than once; and pixels and offsets are found in float32, with the
    published code's rounding, which at the border of odd scales decides the weights.

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
        shifts = (-1, 1) if self.config.local_ensemble else (0,)
        y, x = _published(positions.y, positions.cell[0]), _published(positions.x, positions.cell[1])
        rows = [_covering(y, shift, height) for shift in shifts]
        columns = [_covering(x, shift, width) for shift in shifts]
        predictions, areas = [], []
        for row in rows:
            for column in columns:
                down, right = (y - _center(row, height)) * height, (x - _center(column, width)) * width
                position = stack(down, right, *cell, like=content.values)
                predictions.append(self.layers(content.at(row, column).add_(self.position(position))))
                areas.append((down * right).abs().to(content.values.dtype) + 1e-9)
        total = torch.stack(torch.broadcast_tensors(*areas)).sum(0)
        weighted = [
            prediction * (opposite / total)[..., None]
            for prediction, opposite in zip(predictions, reversed(areas), strict=True)
        ]
        return torch.stack(weighted).sum(0)


def _center(pixel: Tensor, count: int) -> Tensor:
    """The center of pixel ``pixel`` of ``count``, in float32 and rounded as the published code rounds it."""
    return (-1 + 1 / count) + (2 / count) * pixel.float()


def _published(position: Tensor, cell: float) -> Tensor:
    """Positions in float32; centers of the grid that the cell implies are rounded as published.

    It matters at the border of odd scales: there both pixels of an axis are the same one, its
    offset is zero but for rounding, and it is this rounding that weighs the other axis.
    """
    count = max(1, round(2 / cell))
    center = _center(((position + 1) * (count / 2) - 0.5).round(), count)
    return torch.where((center - position).abs() < 5e-7, center, position.float())


def _covering(position: Tensor, shift: int, features: int) -> Tensor:
    """The feature pixel that covers the position shifted by ``shift`` half feature pixels."""
    shifted = position + shift / features + (EPSILON if shift else 0)
    inside = shifted.clamp(-1 + EPSILON, 1 - EPSILON)
    return (((inside + 1) * features - 1) / 2).round().long()


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
