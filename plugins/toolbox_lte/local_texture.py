"""LTE's decoder: waves with amplitudes and frequencies from the features, and a small network at each position.

Amplitudes and frequencies are convolutions of the features, computed once per feature pixel. The phases depend only on
the size of the output pixel. Only the waves themselves and the network behind them are computed per position.
"""

from __future__ import annotations

import math
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
    clipped_cell,
    corners,
    stack,
)
from toolbox_lte.plain import local_texture


class LocalTextureConfig(DecoderConfig):
    """Settings of LTE's decoder."""

    frequencies: int = Field(default=128, gt=0, description="waves per feature pixel; each has a cosine and a sine")
    hidden: tuple[PositiveInt, ...] = Field(default=(256, 256, 256), min_length=1, description="channels of each layer")
    largest_scale: float | None = Field(
        default=4, gt=0, description="the cell stops shrinking at this scale, as published; null: it never does"
    )

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 2


class LocalTexture(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    With the offset (y, x) of the position from a feature pixel and the cell, both in half feature pixels, wave k has
    phase π (frequency_k · offset + phase_k · cell). The network sees the cosines of all waves and then the sines, each
    times its amplitude. Its results for the four feature pixels around the position are averaged as in LIIF. LTE and
    LTE+ are the same function of position with their frequencies in another order. Here the vertical ones come before
    the horizontal ones.

    Beyond ``largest_scale`` (output height over input height) the cell is that of this scale, as in the published
    evaluation, because the phases were never trained for smaller cells. This departs from the shared conventions as
    ``toolbox.decoders.corners`` does.

    Source: Lee & Jin, "Local Texture Estimator for Implicit Representation Function", CVPR 2022, Section 3, after the
    published code.
    """

    def __init__(self, config: LocalTextureConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config = config
        waves = 2 * config.frequencies
        self.amplitude = nn.Conv2d(features, waves, 3, padding=1)  # of the cosines, then of the sines
        self.frequency = nn.Conv2d(features, waves, 3, padding=1)  # vertical, then horizontal
        self.phase = nn.Linear(2, config.frequencies, bias=False)
        layers: list[nn.Module] = []
        for before, after in pairwise((waves, *config.hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.hidden[-1], channels))

    def prepare(self, features: Tensor) -> Tensor:
        content = torch.cat((self.amplitude(features), math.pi * self.frequency(features)), 1)
        return rearrange(content, "b c h w -> b h w c")

    def sample(self, content: Content, positions: Positions) -> Tensor:
        cell = positions.cell[0] * content.height, positions.cell[1] * content.width
        clipped = clipped_cell(cell, self.config.largest_scale)
        phase = math.pi * self.phase(stack(*clipped, like=content.values))
        waves, count = 2 * self.config.frequencies, self.config.frequencies
        around = corners(positions, content.height, content.width)
        weighted = []
        for corner, weight in zip(around, area_weights(around, content.values), strict=True):
            amplitude, vertical, horizontal = content.at(corner.row, corner.column).split((waves, count, count), -1)
            down, right = (offset.to(amplitude)[..., None] for offset in (corner.down, corner.right))
            angle = phase.addcmul(vertical, down).addcmul(horizontal, right)
            prediction = self.layers(torch.cat((angle.cos(), angle.sin()), -1).mul_(amplitude))
            weighted.append(prediction * weight[..., None])
        return torch.stack(weighted).sum(0)


LOCAL_TEXTURE = ComponentInfo(
    kind="decoder",
    name="local-texture",
    factory=LocalTexture,
    config=LocalTextureConfig,
    summary="LTE: waves of estimated amplitude and frequency, and a network behind them, at any size",
    paper="Lee & Jin, Local Texture Estimator for Implicit Representation Function, CVPR 2022",
    plain=local_texture,
    example={"frequencies": 2, "hidden": [5]},
)
