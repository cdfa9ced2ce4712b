"""CiaoSR's decoder: each position attends to the feature pixels around it, with networks as keys and values.

Three things are done once per feature pixel instead of once per position and neighbor. The first layers of the networks
are linear in the features. What attention across scales gathers for a feature pixel does not depend on the position.
And a score is q · (k ⊙ (W h + b)), for the hidden state h of the key network: that is (Wᵀ(q ⊙ k)) · h + b · (q ⊙ k), a
product of h with a vector that two feature pixels next to each other have in common.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import (
    ComponentInfo,
    Content,
    CrossScaleAttention,
    DecoderConfig,
    ImplicitDecoder,
    Positions,
    along,
    stack,
)
from toolbox_ciaosr.plain import implicit_attention

# A pair of feature pixels next to each other is stored with the one that comes first, row by row. The other one is the
# same, the next to the right, or in the next row; three times the row plus the column numbers them from 0 to 4.
PAIRS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))
UNSHIFTED = 1e-30  # for which corners.py still adds the 1e-6 of a shift

Scale = Literal[2, 3, 4]


class ImplicitAttentionConfig(DecoderConfig):
    """Settings of CiaoSR's decoder."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(256, 256, 256, 256), min_length=1, description="channels of each layer of the three networks"
    )
    across: tuple[Scale, ...] = Field(
        default=(2,), description="scales of the attention over the whole image; none: each position sees its own part"
    )
    neighbors: Literal[1, 2, 3] = Field(default=2, description="feature pixels along an axis that a position sees")
    softness: float = Field(default=1.0, gt=0, description="what scores are divided by before the softmax")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return None if self.across else 1 + (self.neighbors > 1)


class PositionNetwork(nn.Module):
    """A network of content and position: its first layer in two parts, and its last one apart."""

    def __init__(self, content: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.content = nn.Linear(content, hidden[0])
        self.position = nn.Linear(4, hidden[0], bias=False)
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for before, after in pairwise(hidden):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(hidden[-1], content)

    def forward(self, content: Tensor, position: Tensor) -> Tensor:
        """The content's part of the first layer (..., hidden), and (..., 4) → the last hidden layer."""
        hidden: Tensor = self.layers(content + self.position(position))
        return hidden


class Neighbor(NamedTuple):
    """A feature pixel that each position sees; pixels are numbered within the content."""

    pixel: Tensor
    earlier: Tensor  # of this pixel and the one that covers the position, the one with which the pair is stored
    pair: Tensor  # its number among PAIRS
    position: Tensor  # (*shape, 4): offset (y, x) and cell, in half feature pixels


class ImplicitAttention(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    A feature pixel is seen with its 3×3 neighborhood, unfolded; as a value, beside what attention across scales
    gathers for it from the whole image. A position is seen from the feature pixels around it (``neighbors`` along an
    axis), by its offset (y, x) and its cell in half feature pixels. Of each the key is times the key network, and the
    value times the value network, both of the neighbor and the position; the query is the feature pixel that covers
    the position. The average of the values by the softmax of query · key makes the color.

    Departs from the shared conventions as ``toolbox.decoders.corners`` does; the shift to a neighbor is (1 − cell) /
    (H − 1) of the image, about half a feature pixel at scale 2, less below it and more above it. Departs from the
    published code where it divides by zero, or looks outside: features of one pixel along an axis are not shifted, and
    a cell beyond the whole image shifts as far as that.

    Source: Cao et al., "CiaoSR: Continuous Implicit Attention-in-Attention Network for Arbitrary-Scale Image
    Super-Resolution", CVPR 2023, Section 3, after the published code.
    """

    chunk = 1024

    def __init__(self, config: ImplicitAttentionConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config, self.features = config, features
        self.across = CrossScaleAttention(features, config.across) if config.across else None
        seen, value = 9 * features, (9 + len(config.across)) * features
        self.key, self.value = PositionNetwork(seen, config.hidden), PositionNetwork(value, config.hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise((value, *config.hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        self.colors = nn.Sequential(*layers, nn.Linear(config.hidden[-1], channels))

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        return super().forward(self._with_gathered(features), size)

    def at(self, features: Tensor, positions: Positions) -> Tensor:
        return super().at(self._with_gathered(features), positions)

    def _with_gathered(self, features: Tensor) -> Tensor:
        """The features, and what attention across scales gathers for them."""
        return features if self.across is None else torch.cat((features, self.across(features)), 1)

    def prepare(self, features: Tensor) -> Tensor:
        """(B, features and what is gathered, H, W) → (B, H, W, C): the first layers, the value, and five pairs."""
        own, gathered = features[:, : self.features], features[:, self.features :]
        seen = rearrange(F.unfold(own, 3, padding=1), "b c (h w) -> b h w c", h=features.shape[2])
        value = torch.cat((seen, gathered.permute(0, 2, 3, 1)), -1)
        return torch.cat((self.key.content(seen), self.value.content(value), value, *self._pairs(seen)), -1)

    def _pairs(self, seen: Tensor) -> list[Tensor]:
        """(B, H, W, hidden + 1) for each of a pixel's pairs: Wᵀ(q ⊙ k) and b · (q ⊙ k); anything beyond the border."""
        height, width = seen.shape[1:3]
        weight = torch.cat((self.key.output.weight.T, self.key.output.bias[None])) / self.config.softness
        around = F.pad(seen, (0, 0, 1, 1, 0, 1))
        return [
            F.linear(seen * around[:, row : row + height, 1 + column : 1 + column + width], weight)
            for row, column in PAIRS
        ]

    def reach(self, pixel: float) -> tuple[int, int]:
        return 2, 1

    def sample(self, content: Content, positions: Positions) -> Tensor:
        first, pair = self.config.hidden[0], self.config.hidden[-1] + 1
        # What each feature pixel has. It is picked with indices from views: only of what is picked is there a copy.
        parts = first, first, self.value.output.out_features, len(PAIRS) * pair
        key_content, value_content, value, pairs = content.values.flatten(1, 2).split(parts, 2)
        pairs = pairs.unflatten(2, (len(PAIRS), pair))
        around = self._around(content, positions)
        scores = []
        for neighbor in around:
            state = self.key(key_content[:, neighbor.pixel], neighbor.position)
            weight, bias = pairs[:, neighbor.earlier, neighbor.pair].split((pair - 1, 1), -1)
            scores.append((state * weight).sum(-1) + bias[..., 0])
        shares = torch.stack(scores, -1).softmax(-1)
        average = torch.zeros_like(shares[..., :1])
        for neighbor, share in zip(around, shares.unbind(-1), strict=True):
            state = self.value(value_content[:, neighbor.pixel], neighbor.position)
            average = torch.addcmul(average, value[:, neighbor.pixel] * share[..., None], self.value.output(state))
        colors: Tensor = self.colors(average)
        return colors

    def _around(self, content: Content, positions: Positions) -> list[Neighbor]:
        """The feature pixels that each position sees."""
        axes = tuple(zip((positions.y, positions.x), positions.counts, (content.height, content.width), strict=True))
        (((row, _),), ((column, _),)) = (along(*axis, (0.0,)) for axis in axes)
        rows, columns = (
            along(*axis, self._shifts(cell, axis[2], positions.y.device))
            for axis, cell in zip(axes, positions.cell, strict=True)
        )
        cell = positions.cell[0] * content.height, positions.cell[1] * content.width

        def pixel(at_row: Tensor, at_column: Tensor) -> Tensor:
            return (at_row - content.top) * content.width + at_column

        around = []
        for (own_row, down), (own_column, right) in product(rows, columns):
            own = pixel(own_row, own_column)
            pair = (3 * (own_row - row) + own_column - column).abs()
            position = stack(down, right, *cell, like=content.values)
            around.append(Neighbor(own, torch.minimum(own, pixel(row, column)), pair, position))
        return around

    def _shifts(self, cell: float, count: int, device: torch.device) -> tuple[float | Tensor, ...]:
        """Of positions along an axis of ``count`` feature pixels to the neighbors, in half feature pixels."""
        if self.config.neighbors == 1:
            return (0.0,)
        features = torch.full((), count, dtype=torch.float64, device=device)
        shift = (1 - torch.full_like(features, cell)).clamp(min=-1) / (features - 1).clamp(min=1) * features
        return (UNSHIFTED - shift, UNSHIFTED + shift) if self.config.neighbors == 2 else (-shift, 0.0, shift)


IMPLICIT_ATTENTION = ComponentInfo(
    kind="decoder",
    name="implicit-attention",
    factory=ImplicitAttention,
    config=ImplicitAttentionConfig,
    summary="CiaoSR: each position attends to the feature pixels around it, and these to the whole image, at any size",
    paper="Cao et al., CiaoSR: Continuous Implicit Attention-in-Attention Network, CVPR 2023",
    plain=implicit_attention,
    example={"hidden": [5, 6]},
)
