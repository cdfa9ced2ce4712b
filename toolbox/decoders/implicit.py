"""The base of implicit decoders: any output size and any list of points, in memory that does not grow with them.

A grid is decoded band by band. For each band of output rows the decoder prepares the rows of features that it
needs, and decodes its positions a few at a time, so that intermediate values stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from toolbox.decoders.coordinates import Positions, grid
from toolbox.errors import SpecError


@dataclass(frozen=True)
class Content:
    """The prepared content of some rows of the features, for the positions near them."""

    values: Tensor  # (B, rows, W, C)
    top: int  # the row of the features that is the first one
    height: int  # of all the features

    @property
    def width(self) -> int:
        """The width of the features, in pixels."""
        return self.values.shape[2]

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The values at feature pixels (rows, columns), which broadcast to a shape: (B, *shape, C)."""
        index = (rows - self.top) * self.width + columns
        return self.values.flatten(1, 2).index_select(1, index.flatten()).unflatten(1, index.shape)


class ImplicitDecoder(nn.Module):
    """A decoder that prepares its content once, and then answers at any position.

    A subclass defines ``prepare``, ``sample`` and, by ``reach``, how far each looks. The grid call and ``query`` are
    then the same function of position.
    """

    chunk = 2048  # positions decoded at a time, over all images of a batch
    band = 8192  # feature pixels prepared at a time

    def prepare(self, features: Tensor) -> Tensor:
        """(B, features, H, W) → content (B, H, W, C): the work that is the same for every position."""
        raise NotImplementedError

    def prepare_for(self, features: Tensor, shape: tuple[int, int], cell: tuple[float, float]) -> Tensor:
        """Like ``prepare``, for content that also depends on the size of an output pixel or of all features.

        Args:
            features: some rows of the features.
            shape: height and width of all features.
            cell: height and width of the pixel around a position, 2 / H' and 2 / W' for a grid of H' × W'.
        """
        return self.prepare(features)

    def sample(self, content: Content, positions: Positions) -> Tensor:
        """Content and positions → (B, *shape of the positions, channels)."""
        raise NotImplementedError

    def reach(self, pixel: float) -> tuple[int, int] | None:
        """How many feature pixels ``prepare`` sees around a pixel, and ``sample`` around a position.

        ``pixel`` is the height of an output pixel in feature pixels. None means all of them. Then everything is
        prepared at once, and the receptive field of the config is None too.
        """
        return 1, 1

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, features, H, W) → (B, channels, *size)."""
        if torch.compiler.is_compiling():  # or exporting, where each pass of a loop would be a copy
            content = self.whole(features, (2 / size[0], 2 / size[1]))
            (part,) = self.decode(content, grid(size, features.device))
            return part.permute(0, 3, 1, 2).contiguous()
        bands = self.bands(features, size)
        return assembled((part for band in bands for part in self.decode_rows(band[0], size, *band[1:])), size)

    def bands(self, features: Tensor, size: tuple[int, int]) -> Iterator[tuple[Content, int, int]]:
        """Yield a grid from top to bottom: rows [start, stop), and their prepared content."""
        shape = (features.shape[-2], features.shape[-1])
        if self.reach(shape[0] / size[0]) is None:
            yield self.whole(features, (2 / size[0], 2 / size[1])), 0, size[0]
            return
        for start, stop in self.bands_of(shape, size):
            yield self._content(features, start, stop, size), start, stop

    def bands_of(self, shape: tuple[int, int], size: tuple[int, int]) -> list[tuple[int, int]]:
        """The bands [start, stop) of rows in which a grid of ``size`` is decoded from features of that (H, W)."""
        height, width = shape
        if self.reach(height / size[0]) is None:
            return [(0, size[0])]
        feature_rows = max(8, self.band // width)  # with fewer rows, too many would be prepared twice
        output_rows = max(1, feature_rows * size[0] // height)
        return [(start, min(start + output_rows, size[0])) for start in range(0, size[0], output_rows)]

    def rows_for(self, start: int, stop: int, height: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The rows of features, of which there are ``height``, for the rows [start, stop) of a grid of ``size``.

        Returns:
            [first, last] for the positions, and [outer first, outer last] to prepare these.
        """
        pixel = height / size[0]  # height of an output pixel, in feature pixels
        prepared, sampled = self.reach(pixel) or (height, height)
        # One row more than needed, because rounding decides where a position lies on an edge between pixels.
        first = max(math.floor((start + 0.5) * pixel) - sampled - 1, 0)
        last = min(math.floor((stop - 0.5) * pixel) + sampled + 1, height - 1)
        return first, last, max(first - prepared, 0), min(last + prepared, height - 1)

    def _content(self, features: Tensor, start: int, stop: int, size: tuple[int, int]) -> Content:
        """The content for the output rows [start, stop) of a grid."""
        height, width = features.shape[2:]
        _, _, outer, last = self.rows_for(start, stop, height, size)
        return self.content_for(features[:, :, outer : last + 1], (height, width), start, stop, size)

    def content_for(
        self, seen: Tensor, shape: tuple[int, int], start: int, stop: int, size: tuple[int, int]
    ) -> Content:
        """The content for the rows [start, stop) of a grid, from the rows of features that ``rows_for`` tells.

        Args:
            seen: (B, features, rows, W), the outer rows.
            shape: height and width of all features.
            start: the first row of the grid.
            stop: the row after the last one.
            size: height and width of the grid.
        """
        first, last, outer, _ = self.rows_for(start, stop, shape[0], size)
        prepared = self.prepare_for(seen, shape, (2 / size[0], 2 / size[1]))
        # Contiguous, or else each chunk would copy everything.
        return Content(prepared[:, first - outer :][:, : last - first + 1].contiguous(), first, shape[0])

    def region(self, features: Tensor, size: tuple[int, int], rows: slice, columns: slice) -> Tensor:
        """A region of the grid call: (B, features, H, W) → (B, channels, rows, columns).

        Only the features near the region count.
        """
        height, width = features.shape[-2:]
        step = rows.stop - rows.start
        if self.reach(height / size[0]) is not None:
            step = max(1, max(8, self.band // width) * size[0] // height)
        positions = grid(size, features.device)

        def parts() -> Iterator[Tensor]:
            for start in range(rows.start, rows.stop, step):
                stop = min(start + step, rows.stop)
                if self.reach(height / size[0]) is None:
                    content = self.whole(features, (2 / size[0], 2 / size[1]))
                else:
                    content = self._content(features, start, stop, size)
                yield from self.decode(content, positions.at(positions.y[start:stop], positions.x[:, columns]))

        return assembled(parts(), (rows.stop - rows.start, columns.stop - columns.start))

    def decode_rows(self, content: Content, size: tuple[int, int], start: int, stop: int) -> Iterator[Tensor]:
        """Rows [start, stop) of a grid of ``size`` from top to bottom, in pieces (B, some rows, W', channels)."""
        positions = grid(size, content.values.device)
        return self.decode(content, positions.at(positions.y[start:stop], positions.x))

    def decode(self, content: Content, positions: Positions) -> Iterator[Tensor]:
        """A band of a grid from top to bottom, in pieces (B, some rows, W', channels)."""
        return (self.sample(content, chunk) for chunk in positions.chunks(self.chunk // content.values.shape[0]))

    def query(self, features: Tensor, points: Tensor, cell: Tensor | tuple[float, float]) -> Tensor:
        """Values at arbitrary points. At the centers of a grid's pixels they equal the grid call.

        Args:
            features: (B, features, H, W).
            points: (N, 2), or (B, N, 2) with other points for each image: (y, x) in [−1, 1].
            cell: (2,): height and width of the pixel around a point, 2 / H' and 2 / W' for a grid of H' × W'.

        Returns:
            (B, N, channels).

        Raises:
            SpecError: points or cell have a wrong shape or invalid values.
        """
        height, width = (float(extent) for extent in cell)
        if not (0 < height < math.inf and 0 < width < math.inf):
            raise SpecError(f"got cell ({height}, {width}), expected two positive numbers, such as 2 / H' and 2 / W'")
        if points.shape[-1:] != (2,) or points.shape[:-2] not in ((), (len(features),)):
            raise SpecError(f"got points of shape {tuple(points.shape)}, expected (N, 2) or ({len(features)}, N, 2)")
        if not points.isfinite().all():
            raise SpecError("got points that are not finite, expected (y, x) in [-1, 1]")
        if points.ndim == 3:
            pairs = zip(features.split(1), points, strict=True)
            return torch.cat([self.query(image, own, cell) for image, own in pairs])
        y, x = points.double().unbind(-1)
        counts = max(1, round(2 / height)), max(1, round(2 / width))
        return self.at(features, Positions(y, x, (height, width), counts))

    def at(self, features: Tensor, positions: Positions) -> Tensor:
        """(B, features, H, W) → (B, N, channels) at N positions."""
        content = self.whole(features, positions.cell)
        chunks = positions.chunks(self.chunk // features.shape[0])
        return torch.cat([self.sample(content, chunk) for chunk in chunks], 1)

    def whole(self, features: Tensor, cell: tuple[float, float]) -> Content:
        """The prepared content of all features."""
        height, width = features.shape[2:]
        return Content(self.prepare_for(features, (height, width), cell).contiguous(), 0, height)


def assembled(parts: Iterator[Tensor], size: tuple[int, int]) -> Tensor:
    """Join pieces (B, some rows, W', channels) of a grid from top to bottom → (B, channels, *size)."""
    first = next(parts)
    image = first.new_empty(len(first), first.shape[-1], *size)
    top = 0
    for part in chain((first,), parts):
        image[:, :, top : top + part.shape[1]] = part.permute(0, 3, 1, 2)
        top += part.shape[1]
    return image
