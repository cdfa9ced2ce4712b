"""Restore a picture tile by tile with a network that is one program, whose features nobody sees.

Each tile has a halo of the receptive field of the whole network, and its result is cut out of the program's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from toolbox.images.engine.rows import Rows
from toolbox.images.engine.tiling import Tiling
from toolbox.restorer import Restorer


def restore_in_pieces(
    restorer: Restorer,
    picture: Rows,
    size: tuple[int, int],
    tiling: Tiling,
    conditions: Mapping[str, Any],
    done: Callable[[], None],
) -> Iterator[Tensor]:
    """Yield the result from top to bottom, (1, output channels, some rows, W'). It calls ``done`` after each tile."""
    _, height, width = picture.shape
    vertical, horizontal = (Fraction(target, length) for length, target in zip((height, width), size, strict=True))

    def scaled(y: int, x: int) -> tuple[int, int]:
        """Coordinates in the picture as those in the result; tiles start where both are integers."""
        return int(y * vertical), int(x * horizontal)

    for top, bottom, outer_top, outer_bottom in tiling.segments(height):
        picture.drop(outer_top)
        rows = picture.get(outer_top, outer_bottom)
        results = []
        for left, right, outer_left, outer_right in tiling.segments(width):
            seen = rows[..., outer_left:outer_right]
            tile = restorer(seen, scaled(*seen.shape[-2:]), **conditions)
            (first, start), (last, stop) = scaled(top, left), scaled(bottom, right)
            down, across = scaled(outer_top, outer_left)
            results.append(tile[..., first - down : last - down, start - across : stop - across])
            done()
        yield torch.cat(results, 3)
