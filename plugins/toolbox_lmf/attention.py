"""LM-CiaoSR's decoder: CiaoSR's attention, all of it per feature pixel, before LM-LIIF's narrow network."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Annotated

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor

from toolbox.plugin import ComponentInfo, CrossScaleAttention, Positions, stack
from toolbox_lmf.modulated import ModulatedConfig, ModulatedDecoder, mlp
from toolbox_lmf.plain import modulated_attention
from toolbox_lmf.render import Render

NEIGHBORS = tuple(product((0, 1), (0, 1)))  # of a query: how far right and down its blocks begin, in their order
CELL_AND_SHIFT = 4  # inputs of keys and values besides the features


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
        """The features, and the result of attention across scales for them, side by side."""
        height, width = features.shape[2:]
        crop = self.config.crop
        if crop is None or height * width <= crop**2:
            return torch.cat((features, self.across(features)), 1)
        count = features.shape[1]
        both = features.new_empty(len(features), count * (1 + len(self.config.scales)), height, width)
        both = both.contiguous(memory_format=torch.channels_last)  # as the networks run
        both[:, :count] = features
        for (top, bottom), (left, right) in product(_crops(height, crop), _crops(width, crop)):
            first_row, first_column = max(top - 1, 0), max(left - 1, 0)
            seen = self.across(features[:, :, first_row : bottom + 1, first_column : right + 1])
            inside = seen[:, :, top - first_row :, left - first_column :]
            both[:, count:, top:bottom, left:right] = inside[:, :, : bottom - top, : right - left]
        return both

    def prepare_for(self, features: Tensor, shape: tuple[int, int], cell: tuple[float, float]) -> Tensor:
        """(B, features and found ones, H, W) → (B, H, W, modulations) of the render network, with the code."""
        input_cell = self.input_cell(shape, cell)
        # As published, the horizontal shift goes with the height.
        shifts = [((1 - 2 * across) / shape[0], (1 - 2 * down) / shape[1]) for across, down in NEIGHBORS]
        places = torch.stack([stack(*shift, *input_cell, like=features) for shift in shifts])
        seen = rearrange(F.unfold(features[:, : self.features], 3, padding=1), "b c n -> b n c")
        found = rearrange(features[:, self.features :], "b c h w -> b (h w) c")
        pieces: Iterable[tuple[Tensor, Tensor]] = [(seen, found)]
        if not torch.compiler.is_compiling():
            step = max(1, self.chunk // len(features))
            pieces = zip(seen.split(step, 1), found.split(step, 1), strict=True)
        modulated = torch.cat([self._modulated(*piece, places) for piece in pieces], 1)
        return modulated.unflatten(1, features.shape[2:])

    def _modulated(self, seen: Tensor, found: Tensor, places: Tensor) -> Tensor:
        """Unfolded feature pixels (B, N, ·) and found ones → (B, N, modulations)."""
        blocks, query = seen.unflatten(-1, (3, 3, self.features)), self.queries(seen)
        scores = []
        for place, neighbor in zip(places, NEIGHBORS, strict=True):
            key = _key(blocks, *neighbor)
            scores.append((query * key * self.keys(_with(key, place))).sum(-1))
        average = seen.new_zeros(())
        for weight, place, neighbor in zip(torch.stack(scores).softmax(0), places, NEIGHBORS, strict=True):
            value = torch.cat((_key(blocks, *neighbor), found), -1)
            average = average + weight[..., None] * value * self.values(_with(value, place))
        modulation, code = self.latent(average).split((self.render.modulations, self.config.code), -1)
        first = self.render.first
        return self.render.modulated(modulation, F.linear(code, first.weight[:, : self.config.code], first.bias))

    def colors(self, values: Tensor, down: Tensor, right: Tensor, cell: tuple[float, float]) -> Tensor:
        vertical, horizontal = self.render.first.weight[:, self.config.code :].unbind(1)
        return self.render(values, down[..., None] * vertical + right[..., None] * horizontal)


def _key(blocks: Tensor, across: int, down: int) -> Tensor:
    """(..., 3, 3, C) → (..., 4 · C): the two by two blocks from there on."""
    return blocks[..., down : down + 2, across : across + 2, :].flatten(-3)


def _with(values: Tensor, place: Tensor) -> Tensor:
    """The same few numbers beside the values of every feature pixel."""
    return torch.cat((values, place.expand(*values.shape[:-1], -1)), -1)


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
