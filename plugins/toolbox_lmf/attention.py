"""LM-CiaoSR's decoder: CiaoSR's attention, all of it per feature pixel, before LM-LIIF's narrow network."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor

from toolbox.plugin import ComponentInfo, CrossScaleAttention, Positions
from toolbox_lmf.modulated import ModulatedConfig, ModulatedDecoder, mlp
from toolbox_lmf.plain import modulated_attention
from toolbox_lmf.render import Render

CELL_AND_SHIFT = 4  # numbers that keys and values are told beside the features


class ModulatedAttentionConfig(ModulatedConfig):
    """Settings of LM-CiaoSR's decoder."""

    depth: int = Field(default=8, gt=0, description="hidden layers of the render network")
    code: int = Field(default=32, gt=0, description="numbers that it gets of each feature pixel")
    attended: tuple[PositiveInt, ...] = Field(
        default=(256,), min_length=1, description="channels of each hidden layer of the attention's networks"
    )
    latent: tuple[PositiveInt, ...] = Field(
        default=(288,), min_length=1, description="channels of each hidden layer of the latent network"
    )
    scales: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(2,), min_length=1, description="how much larger the patches are that similar ones are looked for in"
    )
    crop: int | None = Field(
        default=48, gt=1, description="larger features look for them in crops of this side; null: everywhere"
    )

    def receptive_field(self) -> int | None:
        return None


class ModulatedAttention(ModulatedDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    All of the attention is at the features' resolution. The 3×3 neighborhood of a feature pixel, unfolded and cut
    into nine blocks of as many channels as there are features, gives a query, and four keys of four blocks each; the
    values are the keys beside what attention across scales gathers. Keys and values are each times a network of
    themselves, of a shift and the cell. The latent network tells the modulations of the render network and a code of
    their average, and the render network sees the code and the offset (y, x) in half feature pixels. The position is
    seen from the four feature pixels around it, weighted as in LIIF.

    Features of more than ``crop``² pixels are cut into crops of that side, and one pixel around, before the attention
    across scales; the last one of an axis takes the rest. Beyond ``largest_scale`` (output height over input height)
    the cell is that of this scale, as in the published evaluation. Departs from the shared conventions as
    ``toolbox.decoders.corners`` does, and from the published code where it cannot decode, an output smaller than the
    features, or finds nothing, in crops of a picture with a side below ``crop``.

    Source: He & Jin, "Latent Modulated Function for Computational Optimal Continuous Image Representation", CVPR
    2024, Section 3, and Cao et al., "CiaoSR", CVPR 2023, after the published code.
    """

    def __init__(self, config: ModulatedAttentionConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config, self.largest_scale, self.features = config, config.largest_scale, features
        self.render = Render(config.code + 2, config.width, config.depth, channels)
        self.across = CrossScaleAttention(features, config.scales)
        key, value = 4 * features, (4 + len(config.scales)) * features
        self.queries = mlp(9 * features, *config.attended, key)
        self.keys = mlp(key + CELL_AND_SHIFT, *config.attended, key)
        self.values = mlp(value + CELL_AND_SHIFT, *config.attended, value)
        self.latent = mlp(value, *config.latent, self.render.modulations + config.code)

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        return super().forward(self._with_found(features), size)

    def at(self, features: Tensor, positions: Positions) -> Tensor:
        return super().at(self._with_found(features), positions)

    def _with_found(self, features: Tensor) -> Tensor:
        """The features and what attention across scales finds for them, side by side."""
        height, width = features.shape[2:]
        crop = self.config.crop
        if crop is None or height * width <= crop**2:
            return torch.cat((features, self.across(features)), 1)
        found = features.new_empty(len(features), features.shape[1] * len(self.config.scales), height, width)
        for (top, bottom), (left, right) in product(_crops(height, crop), _crops(width, crop)):
            first_row, first_column = max(top - 1, 0), max(left - 1, 0)
            seen = self.across(features[:, :, first_row : bottom + 1, first_column : right + 1])
            inside = seen[:, :, top - first_row :, left - first_column :]
            found[:, :, top:bottom, left:right] = inside[:, :, : bottom - top, : right - left]
        return torch.cat((features, found), 1)

    def prepare_for(self, features: Tensor, shape: tuple[int, int], cell: tuple[float, float]) -> Tensor:
        """(B, features and what was found, H, W) → (B, H, W, modulations): of the render network, with the code."""
        own, found = features[:, : self.features], rearrange(features[:, self.features :], "b c h w -> b h w c")
        seen = rearrange(F.unfold(own, 3, padding=1), "b c (h w) -> b h w c", h=own.shape[2])
        blocks = seen.unflatten(-1, (3, 3, self.features))
        query = self.queries(seen)
        told_cell = self.told_cell(shape, cell)
        scores, values = [], []
        for across, down in product((0, 1), (0, 1)):
            shift = (1 - 2 * across) / shape[0], (1 - 2 * down) / shape[1]  # as published: the horizontal one with H
            place = features.new_tensor((*shift, *told_cell)).expand(*seen.shape[:3], -1)
            key = blocks[..., down : down + 2, across : across + 2, :].flatten(-3)
            value = torch.cat((key, found), -1)
            scores.append((query * key * self.keys(torch.cat((key, place), -1))).sum(-1))
            values.append(value * self.values(torch.cat((value, place), -1)))
        weights = torch.stack(scores, -1).softmax(-1)
        average = torch.stack([value * weights[..., i, None] for i, value in enumerate(values)]).sum(0)
        modulation, code = self.latent(average).split((self.render.modulations, self.config.code), -1)
        first = self.render.first
        return self.render.modulated(modulation, F.linear(code, first.weight[:, : self.config.code], first.bias))

    def colors(self, values: Tensor, down: Tensor, right: Tensor, cell: tuple[float, float]) -> Tensor:
        vertical, horizontal = self.render.first.weight[:, self.config.code :].unbind(1)
        return self.render(values, down[..., None] * vertical + right[..., None] * horizontal)


def _crops(length: int, crop: int) -> list[tuple[int, int]]:
    """Pieces of a side, from and to; the last one takes the rest."""
    starts = [crop * i for i in range(max(1, length // crop))]
    return list(zip(starts, [*starts[1:], length], strict=True))


MODULATED_ATTENTION = ComponentInfo(
    kind="decoder",
    name="modulated-attention",
    factory=ModulatedAttention,
    config=ModulatedAttentionConfig,
    summary="LM-CiaoSR: attention at each feature pixel modulates a narrow network at each position, at any size",
    paper="He & Jin, Latent Modulated Function for Computational Optimal Continuous Image Representation, CVPR 2024",
    plain=modulated_attention,
    example={"width": 3, "depth": 2, "code": 2, "attended": [5], "latent": [4]},
)
