"""Encode a large image tile by tile, with the result of the whole image.

Each tile is encoded with a halo, pixels around it whose features are cut off again. With a halo of the
encoder's receptive field, no feature sees a border that is not the image's own. With a smaller halo the
features near the edges of tiles are approximate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from toolbox.config import EncoderConfig
from toolbox.heap import trim_heap
from toolbox.images.engine.rows import joined
from toolbox.padding import alignment_of
from toolbox.restorer import Restorer

SMALLEST, LARGEST = 256, 768  # pixels per side of a tile without the halo, unless there is less memory


@dataclass(frozen=True)
class Tiling:
    """The tiles of an image: at most ``tile`` pixels a side, with ``halo`` pixels around them."""

    tile: int | None  # None: the whole image at once
    halo: int
    alignment: int = 1  # tiles start at multiples of it
    trims: bool = False  # return free memory after each tile: a tenth slower, but gaps do not add up

    @property
    def margin(self) -> int:
        """The halo at the alignment of tiles."""
        return -(-self.halo // self.alignment) * self.alignment

    def within(self, height: int, width: int) -> Tiling:
        """The tiling for an image: one tile where the halo of any would be all of the image."""
        return replace(self, tile=None) if self.halo >= max(height, width) else self

    def segments(self, length: int) -> list[tuple[int, int, int, int]]:
        """Cut an axis: (start, stop) of each tile, and (start, stop) with the halo."""
        if self.tile is None or length <= self.tile:
            return [(0, length, 0, length)]
        count = -(-length // self.tile)
        step = -(-length // (count * self.alignment)) * self.alignment
        halo = self.margin
        return [
            (start, min(start + step, length), max(start - halo, 0), min(start + step + halo, length))
            for start in range(0, length, step)
        ]

    def count(self, height: int, width: int) -> int:
        """The number of tiles of an image."""
        return len(self.segments(height)) * len(self.segments(width))

    def largest(self, length: int) -> int:
        """The longest side of a tile with its halo."""
        return max(outer_stop - outer_start for _, _, outer_start, outer_stop in self.segments(length))


def usual_tile(halo: int) -> int:
    """Eight halos, because features of a small tile stay in the cache and those of a halo are computed twice."""
    return min(max(8 * halo, SMALLEST), LARGEST)


def exact_tiling(encoder: EncoderConfig, tile: int | None = None) -> Tiling:
    """An exact tiling. An encoder that sees the whole image gets it in one piece."""
    field = encoder.receptive_field()
    if field is None:
        return Tiling(None, 0)
    return Tiling(tile or usual_tile(field), field, alignment_of(encoder))


def encode_in_tiles(restorer: Restorer, image: Tensor, tiling: Tiling, done: Callable[[], None]) -> Tensor:
    """The features (B, C, H, W) of a padded image (B, channels, H, W). It calls ``done`` after each tile."""
    height, width = image.shape[-2:]

    def seen(start: int, stop: int) -> Tensor:
        return image[..., start:stop, :]

    bands = encode_rows(restorer, seen, (height, width), tiling, done)
    return joined(bands, height, torch.channels_last)


def encode_rows(
    restorer: Restorer,
    seen: Callable[[int, int], Tensor],
    size: tuple[int, int],
    tiling: Tiling,
    done: Callable[[], None],
) -> Iterator[Tensor]:
    """Yield the features of a padded image from top to bottom, (B, C, some rows, W): those of a row of tiles at a time.

    Args:
        restorer: the network.
        seen: returns the rows [start, stop) of the image, with its conditions.
        size: (height, width) of the image.
        tiling: the tiles.
        done: called after each tile.
    """
    for top, bottom, outer_top, outer_bottom in tiling.segments(size[0]):
        rows = seen(outer_top, outer_bottom)
        features = rows.new_empty(0)
        for left, right, outer_left, outer_right in tiling.segments(size[1]):
            tile = restorer.encode(rows[..., outer_left:outer_right])
            inside = tile[..., top - outer_top : bottom - outer_top, left - outer_left : right - outer_left]
            if right - left == size[1]:
                features = inside
            else:
                if not features.numel():
                    shape = (*inside.shape[:3], size[1])
                    features = torch.empty(
                        shape, dtype=tile.dtype, device=tile.device, memory_format=torch.channels_last
                    )
                features[..., left:right] = inside
            del tile, inside
            if tiling.trims:
                trim_heap()
            done()
        del rows
        yield features
