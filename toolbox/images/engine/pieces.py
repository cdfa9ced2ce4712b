"""Restore a picture tile by tile with a network that is one program, whose features nobody sees.

Each tile has a halo of the receptive field of the whole network, and its result is cut out of the program's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from torch import Tensor

from toolbox.images.engine.tiling import Tiling
from toolbox.restorer import Restorer


def restore_in_pieces(
    restorer: Restorer,
    image: Tensor,
    size: tuple[int, int],
    tiling: Tiling,
    conditions: Mapping[str, Any],
    done: Callable[[], None],
) -> Tensor:
    """(B, channels, H, W) in [0, 1] → (B, output channels, *size). It calls ``done`` after each tile."""
    vertical, horizontal = (Fraction(target, length) for length, target in zip(image.shape[-2:], size, strict=True))

    def scaled(y: int, x: int) -> tuple[int, int]:
        """Coordinates in the picture as those in the result; tiles start where both are integers."""
        return int(y * vertical), int(x * horizontal)

    rows, columns = (tiling.segments(length) for length in image.shape[-2:])
    restored = image.new_empty(image.shape[0], restorer.spec.decoded_channels, *size)
    for top, bottom, outer_top, outer_bottom in rows:
        for left, right, outer_left, outer_right in columns:
            seen = image[..., outer_top:outer_bottom, outer_left:outer_right]
            tile = restorer(seen, scaled(*seen.shape[-2:]), **conditions)
            (first, start), (last, stop) = scaled(top, left), scaled(bottom, right)
            down, across = scaled(outer_top, outer_left)
            inside = (..., slice(first - down, last - down), slice(start - across, stop - across))
            restored[..., first:last, start:stop] = tile[inside]
            done()
    return restored
