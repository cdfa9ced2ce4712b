"""SRNO's decoder: each position attends to all others, by an attention that is linear in the queries.

A position needs only one matrix per layer and picture from the others. So a grid is decoded in three passes of bands,
in memory that does not grow with it: two passes add up these matrices, and one makes the colors. Each pass repeats the
steps before it. Position vectors are linear in the features of the four corners, so everything that is linear in them,
including keys and values of the first layer, is computed once per feature pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from toolbox.plugin import (
    ComponentInfo,
    Content,
    DecoderConfig,
    ImplicitDecoder,
    Positions,
    area_weights,
    assembled,
    clipped_cell,
    corners,
    fault,
    grid,
    stack,
)
from toolbox_srno.galerkin import Affine, GalerkinLayer
from toolbox_srno.plain import neural_operator

CORNERS = 4

Pieces = Callable[[], Iterator[tuple[Content, Positions]]]  # yields all positions on every call


class NeuralOperatorConfig(DecoderConfig):
    """Settings of SRNO's decoder."""

    width: int = Field(default=256, gt=0, description="channels of a position")
    heads: int = Field(default=16, gt=0, description="heads of the attention; blocks in the published code")
    hidden: int = Field(default=256, gt=0, description="channels of the layer before the colors")
    largest_scale: float | None = Field(
        default=4, gt=0, description="the cell stops shrinking at this scale, as published; null: it never does"
    )

    @model_validator(mode="after")
    def _check_heads(self) -> NeuralOperatorConfig:
        if self.width % self.heads or self.width < 2 * self.heads:
            raise fault(("heads",), self.heads, f"a divisor of width {self.width} that leaves each two channels")
        return self

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return None


class NeuralOperator(ImplicitDecoder):
    """(B, features, H, W) and a size → (B, channels, *size), for any size.

    A position's vector has its offsets (y, x) from the four feature pixels around it, in half feature pixels; their
    features, each weighted by its area as in LIIF; and its cell in half feature pixels. Two layers of Galerkin
    attention mix these vectors, and two linear layers turn each into a color.

    The attention averages over a set of positions, so a color depends on all of them. The grid call averages over its
    grid. ``query`` averages over the grid that the cell implies, and takes as long as that grid. At the centers of the
    grid's pixels it gives the same values. In training mode it averages over the given points, as in the published
    training.

    Beyond ``largest_scale`` (output height over input height) the cell is that of this scale, as in the published
    evaluation. This departs from the shared conventions as ``toolbox.decoders.corners`` does.

    Source: Wei & Zhang, "Super-Resolution Neural Operator", CVPR 2023, Section 3, after the published code.
    """

    chunk = 1024

    def __init__(self, config: NeuralOperatorConfig, features: int, channels: int) -> None:
        super().__init__()
        self.config = config
        self.content = nn.Linear(CORNERS * features, config.width)
        self.position = nn.Linear(2 * CORNERS + 2, config.width, bias=False)
        self.first, self.second = (GalerkinLayer(config.width, config.heads) for _ in range(2))
        self.colors = nn.Sequential(
            nn.Linear(config.width, config.hidden), nn.GELU(), nn.Linear(config.hidden, channels)
        )

    def prepare(self, features: Tensor) -> Tensor:
        return features.permute(0, 2, 3, 1)

    def reach(self, pixel: float) -> tuple[int, int]:
        return 0, 1

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        if torch.compiler.is_compiling():
            return self._at_once(features, size)
        images = []
        for image in features.split(1):
            pieces = partial(self._grid, image, size)
            images.append(assembled(self._decoded(pieces, self._operators(pieces)), size))
        return torch.cat(images)

    def _at_once(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """The grids of all images together, as a graph needs them: it has no loop over images."""
        positions = grid(size, features.device)
        content = self.whole(features, positions.cell)
        bias = self.content.bias
        unchanged = torch.eye(len(bias), dtype=bias.dtype, device=bias.device), torch.zeros_like(bias)
        (lifted,) = self._lifted(lambda: iter([(content, positions)]), unchanged)
        x = lifted.flatten(1, 2)
        for layer in (self.first, self.second):
            average = layer.products(F.linear(x, *layer.keys_and_values())) / x.shape[1]
            weights, biases = layer.operator(average)
            x = layer(x, torch.baddbmm(biases[:, None], x, weights.mT))
        image: Tensor = self.colors(x)
        return image.mT.unflatten(2, size)

    def at(self, features: Tensor, positions: Positions) -> Tensor:
        images = []
        for image in features.split(1):
            pieces = partial(self._points, image, positions)
            implied = max(1, round(2 / positions.cell[0])), max(1, round(2 / positions.cell[1]))
            operators = self._operators(pieces if self.training else partial(self._grid, image, implied))
            images.append(torch.cat(list(self._decoded(pieces, operators)), 1))
        return torch.cat(images)

    def _grid(self, image: Tensor, size: tuple[int, int]) -> Iterator[tuple[Content, Positions]]:
        positions = grid(size, image.device)
        for content, start, stop in self.bands(image, size):
            yield content, positions.at(positions.y[start:stop], positions.x)

    def _points(self, image: Tensor, positions: Positions) -> Iterator[tuple[Content, Positions]]:
        yield self.whole(image, positions.cell), positions

    def _operators(self, pieces: Pieces) -> tuple[Affine, Affine]:
        """The operators of both layers for all positions of one image; each needs a pass over them."""
        first = self.first.operator(_average(self.first, self._lifted(pieces, self.first.keys_and_values())))
        seen = self.second.keys_and_values()
        mixed = (F.linear(vectors, *seen) for vectors in self._mixed(pieces, first))
        return first, self.second.operator(_average(self.second, mixed))

    def _decoded(self, pieces: Pieces, operators: tuple[Affine, Affine]) -> Iterator[Tensor]:
        """Yield (1, *shape, channels) for one piece of the positions after the other."""
        first, second = operators
        for vectors in self._mixed(pieces, first):
            yield self.colors(self.second(vectors, F.linear(vectors, *second)))

    def _mixed(self, pieces: Pieces, operator: Affine) -> Iterator[Tensor]:
        """Yield (1, *shape, width) after the first layer, for one piece of the positions after the other."""
        weight, bias = operator
        unchanged = torch.eye(len(bias), dtype=bias.dtype, device=bias.device)
        for both in self._lifted(pieces, (torch.cat((unchanged, weight)), F.pad(bias, (len(bias), 0)))):
            yield self.first(*both.chunk(2, -1))

    def _lifted(self, pieces: Pieces, after: Affine) -> Iterator[Tensor]:
        """Yield (1, *shape, out), the vectors after a further linear layer, one piece of positions after another."""
        weight, bias = after
        by_corner = (weight @ self.content.weight).unflatten(1, (CORNERS, -1)).transpose(0, 1).flatten(0, 1)
        own, bias = weight @ self.position.weight, weight @ self.content.bias + bias
        for content, positions in pieces():
            height, width = content.height, content.width
            # A column for each corner of each feature pixel: its share, times its area.
            by_pixel = F.linear(content.values, by_corner).unflatten(3, (CORNERS, -1)).flatten(2, 3)
            added = Content(by_pixel, content.top, height)
            cell = clipped_cell((positions.cell[0] * height, positions.cell[1] * width), self.config.largest_scale)
            for chunk in positions.chunks(self.chunk):
                around = corners(chunk, height, width)
                offsets = (offset for corner in around for offset in (corner.down, corner.right))
                vectors = F.linear(stack(*offsets, *cell, like=by_pixel), own, bias)[None]
                for number, (corner, area) in enumerate(zip(around, area_weights(around, by_pixel), strict=True)):
                    of_corner = added.at(corner.row, CORNERS * corner.column + number)
                    vectors = torch.addcmul(vectors, of_corner, area[..., None])
                yield vectors


def _average(layer: GalerkinLayer, keys_and_values: Iterator[Tensor]) -> Tensor:
    """The average of keyᵀ · value over all positions, summed in float64 so that bands hardly change it."""
    total, count = torch.zeros((), dtype=torch.float64, device=layer.scale.device), 0
    for vectors in keys_and_values:
        total = total + layer.products(vectors.flatten(0, -2)).double()
        count += vectors.flatten(0, -2).shape[0]
    return (total / count).to(layer.scale)


NEURAL_OPERATOR = ComponentInfo(
    kind="decoder",
    name="neural-operator",
    factory=NeuralOperator,
    config=NeuralOperatorConfig,
    summary="SRNO: all positions attend to all others, by an attention that is linear in them, at any size",
    paper="Wei & Zhang, Super-Resolution Neural Operator, CVPR 2023",
    plain=neural_operator,
    example={"width": 6, "heads": 2, "hidden": 5},
)
