"""Encoding a large image tile by tile, with the same result as at once.

Each tile is encoded with a margin of the encoder's receptive field, which is cut off again, so no
feature sees a border that is not the image's own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toolbox.restorer import Restorer

TILE = 768  # pixels per side without the margin


def encode_in_tiles(restorer: Restorer, image: Tensor, done: Callable[[], None]) -> Tensor:
    """Features (B, C, H, W) of an image (B, channels, H, W), equal to ``restorer.encode(image)``.

    An encoder that sees the whole image gets it in one piece. ``done`` is called after each tile.
    """
    config = restorer.spec.encoder.config
    height, width = image.shape[-2:]
    rows = tiles(height, config.receptive_field(), config.alignment())
    columns = tiles(width, config.receptive_field(), config.alignment())
    bands = []
    for top, bottom, outer_top, outer_bottom in rows:
        band = []
        for left, right, outer_left, outer_right in columns:
            features = restorer.encode(image[..., outer_top:outer_bottom, outer_left:outer_right])
            inside = (..., slice(top - outer_top, bottom - outer_top), slice(left - outer_left, right - outer_left))
            band.append(features[inside])
            done()
        bands.append(torch.cat(band, -1) if len(band) > 1 else band[0])
    return torch.cat(bands, -2) if len(bands) > 1 else bands[0]


def count_tiles(restorer: Restorer, height: int, width: int) -> int:
    """How many tiles ``encode_in_tiles`` cuts an image into."""
    config = restorer.spec.encoder.config
    margin, alignment = config.receptive_field(), config.alignment()
    return len(tiles(height, margin, alignment)) * len(tiles(width, margin, alignment))


def tiles(length: int, margin: int | None, alignment: int) -> list[tuple[int, int, int, int]]:
    """Cut an axis: (start, stop) of each tile, and (start, stop) with the margin."""
    if margin is None or length <= TILE:
        return [(0, length, 0, length)]
    count = -(-length // TILE)
    step = -(-length // (count * alignment)) * alignment
    margin = -(-margin // alignment) * alignment
    starts = range(0, length, step)
    return [
        (start, min(start + step, length), max(start - margin, 0), min(start + step + margin, length))
        for start in starts
    ]
