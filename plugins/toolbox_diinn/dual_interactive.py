"""DIINN's decoder: two networks side by side, one for the content and one for the position.

Per output pixel and layer i, modulation k_i = ReLU(K_i ·) carries the content, synthesis
s_i = sin(Q_i ·) the position, and q_i = k_i · s_i joins them. The content z of an output pixel is
the 3×3 neighborhood of its nearest feature pixel, so it is the same for all output pixels of one
feature pixel. Hence K_i [q; z] = A_i q + B_i z, where B_i z, a 3×3 convolution, is computed once
per feature pixel, and only A_i q once per output pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from toolbox.plugin import ComponentInfo, Content, DecoderConfig, ImplicitDecoder, Positions, nearest, offset, stack
from toolbox_diinn.plain import dual_interactive

ROWS_CONVOLVED = 16  # rows at a time for a 3×3 output convolution, which computes two more


class DualInteractiveConfig(DecoderConfig):
    """Settings of DIINN's decoder; the paper's ablation a–f is modulation_input × initial_synthesis."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(256, 256, 256, 256), min_length=1, description="channels of each layer"
    )
    modulation_input: Literal["modulation", "modulation+content", "synthesis+content"] = Field(
        default="synthesis+content",
        description="what each modulation layer after the first takes: the modulation before it (published "
        "mode 1), the same with the content (mode 2), or the synthesis with the content (mode 3, the final model)",
    )
    initial_synthesis: bool = Field(
        default=False, description="multiply the content by a first sine of the position (init_q)"
    )
    output_kernel: Literal[1, 3] = Field(default=1, description="of the last convolution; 3 is published mode 4")

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 1 if self.output_kernel == 1 else 2

    def content_layers(self) -> int:
        """The number of modulation layers that take the content."""
        return 1 if self.modulation_input == "modulation" else len(self.hidden)


class DualInteractive(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    The position p of an output pixel is its offset (y, x) from the center of the nearest feature
    pixel, in half feature pixels, and the ratio H·W / (H'·W') of the areas. The nearest pixel is
    torch's ``nearest-exact``, with its rounding at ties.

    Source: Nguyen & Beksi, "Single Image Super-Resolution via a Dual Interactive Implicit Neural
    Network", WACV 2023, Section 3.2, after the published code. Its 1×1 convolutions of unfolded
    features are 3×3 convolutions here, which is the same function.
    """

    def __init__(self, config: DualInteractiveConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config = config
        hidden, layers = config.hidden, config.content_layers()
        position = 9 * features if config.initial_synthesis else 3
        # B_i of every layer that takes the content, stacked, with K_i's bias. Without content the bias is in A_i.
        self.content = nn.Conv2d(features, sum(hidden[:layers]), 3, padding=1)
        self.modulation = nn.ModuleList(
            nn.Linear(before, after, bias=layers == 1) for before, after in pairwise(hidden)
        )
        self.synthesis = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise((position, *hidden)))
        self.initial = nn.Linear(3, position) if config.initial_synthesis else None
        kernel = config.output_kernel
        self.output = nn.Conv2d(hidden[-1], channels, kernel, padding=kernel // 2, padding_mode="reflect")

    def prepare(self, features: Tensor) -> Tensor:
        if self.initial is None:
            return rearrange(self.content(features), "b c h w -> b h w c")
        unfolded = F.unfold(features, 3, padding=1)  # multiplied by a function of position, so not yet convolved
        return rearrange(unfolded, "b c (h w) -> b h w c", h=features.shape[2])

    def sample(self, content: Content, positions: Positions) -> Tensor:
        if self.config.output_kernel == 1:
            return F.linear(self.synthesize(content, positions), self.output.weight.flatten(1), self.output.bias)
        # The output convolution sees the eight positions around, one cell away, reflected at the border.
        parts = []
        for row in range(3):
            for column in range(3):
                y = _reflect(positions.y + (row - 1) * positions.cell[0], positions.cell[0])
                x = _reflect(positions.x + (column - 1) * positions.cell[1], positions.cell[1])
                q = self.synthesize(content, positions.at(y, x))
                bias = self.output.bias if row == column == 1 else None
                parts.append(F.linear(q, self.output.weight[:, :, row, column], bias))
        return torch.stack(parts).sum(0)

    def decode(self, content: Content, positions: Positions) -> Iterator[Tensor]:
        if self.config.output_kernel == 1:
            yield from super().decode(content, positions)
            return
        # On a grid the positions around are decoded anyway, so a convolution saves nine times the work.
        for rows in positions.bands(ROWS_CONVOLVED):
            around = rows.at(_with_neighbors(rows.y, 0, rows.cell[0]), _with_neighbors(rows.x, 1, rows.cell[1]))
            chunks = around.chunks(self.chunk // content.values.shape[0])
            q = torch.cat([self.synthesize(content, chunk) for chunk in chunks], 1)
            yield F.conv2d(q.permute(0, 3, 1, 2), self.output.weight, self.output.bias).permute(0, 2, 3, 1)

    def reach(self, pixel: float) -> tuple[int, int]:
        return 1, 0 if self.config.output_kernel == 1 else math.ceil(pixel)

    def synthesize(self, content: Content, positions: Positions) -> Tensor:
        """Content and positions → q of the last layer, (B, *shape of the positions, hidden[-1])."""
        height, width = content.height, content.width
        rows = nearest(positions.y, positions.counts[0], height)
        columns = nearest(positions.x, positions.counts[1], width)
        ratio = positions.cell[0] * height / 2 * positions.cell[1] * width / 2
        y, x = offset(positions.y, rows, height), offset(positions.x, columns, width)
        position = stack(y, x, ratio, like=content.values)
        z = content.at(rows, columns)
        if self.initial is not None:
            position = torch.sin(self.initial(position))
            # The weight's order, channels × 3 × 3, is the order of unfold.
            z = F.linear(z * position, self.content.weight.flatten(1), self.content.bias)
        hidden, layers = self.config.hidden, self.config.content_layers()
        from_content = z.split(hidden[:layers], -1)
        k = F.relu(from_content[0])
        q = _sine(self.synthesis[0](position)) * k
        for i in range(1, len(hidden)):
            k = self.modulation[i - 1](q if self.config.modulation_input == "synthesis+content" else k)
            k = (k.add_(from_content[i]) if layers > 1 else k).relu_()
            q = _sine(self.synthesis[i](q)) * k
        return q


def _with_neighbors(positions: Tensor, axis: int, cell: float) -> Tensor:
    """An axis of a grid with one more position at each end."""
    first, last = positions.narrow(axis, 0, 1), positions.narrow(axis, -1, 1)
    return torch.cat((_reflect(first - cell, cell), positions, _reflect(last + cell, cell)), axis)


def _sine(values: Tensor) -> Tensor:
    """The sine, in place unless its gradient needs the values."""
    return values.sin() if values.requires_grad else values.sin_()


def _reflect(position: Tensor, cell: float) -> Tensor:
    """Mirror positions beyond the centers of the first and last pixel, as reflect padding does."""
    last = 1 - cell / 2
    inside = torch.where(position > last + cell / 4, 2 * last - position, position)
    return torch.where(inside < -last - cell / 4, -2 * last - inside, inside)


DUAL_INTERACTIVE = ComponentInfo(
    kind="decoder",
    name="dual-interactive",
    factory=DualInteractive,
    config=DualInteractiveConfig,
    summary="two interacting networks, content modulating a synthesis by position, at any size",
    paper="Nguyen & Beksi, Single Image Super-Resolution via a Dual Interactive Implicit Neural Network, WACV 2023",
    plain=dual_interactive,
    example={"hidden": [5, 6]},
    url="https://arxiv.org/abs/2210.12593",
)
