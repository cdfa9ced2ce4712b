"""The base of LMF's three decoders: a wide network per feature pixel, a narrow one per position and corner."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from toolbox.plugin import Content, DecoderConfig, ImplicitDecoder, Positions, area_weights, clipped_cell, corners, grid
from toolbox_lmf.windows import Windows


class ModulatedConfig(DecoderConfig):
    """Settings of all three decoders."""

    width: int = Field(default=16, gt=0, description="channels of each hidden layer of the render network")
    largest_scale: float | None = Field(
        default=4, gt=0, description="the cell stops shrinking at this scale, as published; null: it never does"
    )

    def sizes(self) -> Literal["same", "any"] | int:
        return "any"

    def receptive_field(self) -> int | None:
        return 2


class ModulatedDecoder(ImplicitDecoder):
    """A decoder with a latent network in ``prepare_for``, and with ``colors`` for one corner.

    It renders a grid window by window and points one by one, with the same colors.
    """

    slots = 16384  # positions to render at a time, over all feature pixels and images, so that they stay in the cache
    widest = 1024  # most positions of a window; larger windows would wait too long for those around them
    largest_scale: float | None

    def input_cell(self, shape: tuple[int, int], cell: tuple[float, float]) -> tuple[float, float]:
        """The cell for the networks, in half feature pixels."""
        return clipped_cell((cell[0] * shape[0], cell[1] * shape[1]), self.largest_scale)

    def colors(self, values: Tensor, down: Tensor, right: Tensor, cell: tuple[float, float]) -> Tensor:
        """The colors of positions around a feature pixel.

        Args:
            values: (B, ..., C), the content of the feature pixels.
            down: (...), from the feature pixel's center, in half feature pixels, in the dtype of ``values``.
            right: the same along the other axis; all broadcast.
            cell: of the output pixel, as ``input_cell`` gives it.

        Returns:
            (B, ..., channels).
        """
        raise NotImplementedError

    def sample(self, content: Content, positions: Positions) -> Tensor:
        cell = self.input_cell((content.height, content.width), positions.cell)
        around = corners(positions, content.height, content.width)
        weighted = []
        for corner, weight in zip(around, area_weights(around, content.values), strict=True):
            values = content.at(corner.row, corner.column)
            down, right = corner.down.to(content.values), corner.right.to(content.values)
            weighted.append(self.colors(values, down, right, cell) * weight[..., None])
        return torch.stack(weighted).sum(0)

    def decode_rows(self, content: Content, size: tuple[int, int], start: int, stop: int) -> Iterator[Tensor]:
        rows, columns = Windows.of(size[0], content.height), Windows.of(size[1], content.width)
        if rows.width * columns.width > self.widest:
            yield from super().decode_rows(content, size, start, stop)
            return
        top, bottom = int(rows.pixels[0, start]), int(rows.pixels[1, stop - 1])
        cell = self.input_cell((content.height, content.width), (2 / size[0], 2 / size[1]))
        rendered = self._windows(content, top, bottom + 1, rows, columns, cell)
        down, right = (
            torch.tensor(pixels * windows.width + windows.slots, device=rendered.device)
            for pixels, windows in ((rows.pixels - top, rows), (columns.pixels, columns))
        )
        positions = grid(size, rendered.device)
        band = positions.at(positions.y[start:stop], positions.x)
        weights = area_weights(corners(band, content.height, content.width), rendered)
        lines = [rendered.index_select(1, line) for line in down[:, start:stop]]
        parts = [line.index_select(2, place) for line, place in product(lines, right)]
        yield torch.stack([part * weight[..., None] for part, weight in zip(parts, weights, strict=True)]).sum(0)

    def _windows(
        self, content: Content, top: int, bottom: int, rows: Windows, columns: Windows, cell: tuple[float, float]
    ) -> Tensor:
        """(B, rows · slots, W · slots, channels): every window of the feature rows [top, bottom)."""
        values = content.values[:, top - content.top : bottom - content.top].flatten(1, 2)
        down, right = (torch.tensor(each).to(values) for each in (rows.offsets[top:bottom], columns.offsets))
        step = max(1, self.slots // (len(values) * rows.width * columns.width))
        rendered = []
        for start in range(0, values.shape[1], step):
            pixel = torch.arange(start, min(start + step, values.shape[1]), device=values.device)
            own = values[:, start : start + step, None, None]
            y, x = down[pixel // content.width, :, None], right[pixel % content.width, None, :]
            rendered.append(self.colors(own, y, x, cell))
        windows = torch.cat(rendered, 1).unflatten(1, (-1, content.width))
        return windows.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers = [nn.Linear(before, after) for before, after in pairwise(sizes)]
    return nn.Sequential(*[each for layer in layers for each in (layer, nn.ReLU(inplace=True))][:-1])
