"""Features cut into square windows, and a function of the pixels of one window applied to all of them.

The edges of the windows are at ``start`` modulo their side. Windows that the picture's edge cuts are smaller windows,
so nothing is rolled and no pair of pixels is masked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# The pixels of windows (windows, pixels, C), the (height, width) of each window, and which pixels lie outside of the
# picture, (different windows, pixels), or None → the same shape as the pixels.
OfWindows = Callable[[Tensor, tuple[int, int], Tensor | None], Tensor]

PAIRS_AT_A_TIME = 2**20  # pairs of pixels at a time, over all heads, so that their scores stay in the cache
PAIRS_ELSEWHERE = 2**24  # the same on devices that need more work at a time


class Span(NamedTuple):
    """Windows of one length along an axis, one after the other."""

    start: int
    stop: int
    side: int


def in_windows(features: Tensor, side: int, start: int, heads: int, function: OfWindows) -> Tensor:
    """Apply the function to every window of (B, C, H, W), whose pixels it sees row by row → the same shape.

    ``heads`` is the number of scores for each pair of pixels.
    """
    pixels = features.permute(0, 2, 3, 1)
    if torch.compiler.is_compiling():  # also by torch.export
        return _padded(pixels, side, start, function).permute(0, 3, 1, 2)
    rows, columns = (spans(length, side, start) for length in pixels.shape[1:3])
    if torch.is_grad_enabled():
        strips = [torch.cat([_of_windows(pixels, y, x, function) for x in columns], 2) for y in rows]
        return torch.cat(strips, 1).permute(0, 3, 1, 2)
    most = _windows_at_a_time(heads * side**4, features.device)
    result = torch.empty_like(pixels)
    for row, column in product(rows, columns):
        for y, x in _pieces(row, column, max(1, most // len(pixels))):
            result[:, y.start : y.stop, x.start : x.stop] = _of_windows(pixels, y, x, function)
    return result.permute(0, 3, 1, 2)


def spans(length: int, side: int, start: int) -> list[Span]:
    """The windows along an axis: a cut one if ``start`` is not 0, whole ones, and a cut one if pixels are left."""
    first = min(start, length)
    last = first + (length - first) // side * side
    between = pairwise((0, first, last, length))
    return [Span(a, b, min(side, b - a)) for a, b in between if a < b]


def _windows_at_a_time(pairs: int, device: torch.device) -> int:
    """How many windows to work on at a time, of so many pairs of pixels each."""
    most = PAIRS_AT_A_TIME if device.type in ("cpu", "meta") else PAIRS_ELSEWHERE  # a plan on meta is for the CPU
    return max(1, most // pairs)


def _pieces(row: Span, column: Span, most: int) -> Iterator[tuple[Span, Span]]:
    """The same windows in rectangles of at most so many windows, all of about one size."""
    across = _parts(column, most)
    down = _parts(row, max(1, most // ((across[0].stop - across[0].start) // column.side)))
    return product(down, across)


def _parts(span: Span, most: int) -> list[Span]:
    """A span in parts of at most so many windows, all of about one length."""
    windows = (span.stop - span.start) // span.side
    step = span.side * math.ceil(windows / math.ceil(windows / most))
    return [Span(at, min(at + step, span.stop), span.side) for at in range(span.start, span.stop, step)]


def _of_windows(pixels: Tensor, y: Span, x: Span, function: OfWindows) -> Tensor:
    """The function of the windows in a rectangle of (B, H, W, C) → the rectangle."""
    rectangle = pixels[:, y.start : y.stop, x.start : x.stop]
    result = function(_cut(rectangle, y.side, x.side).flatten(0, 2).flatten(1, 2), (y.side, x.side), None)
    shape = (len(pixels), (y.stop - y.start) // y.side, (x.stop - x.start) // x.side, y.side, x.side, -1)
    return _joined(result.view(shape))


def _padded(pixels: Tensor, side: int, start: int, function: OfWindows) -> Tensor:
    """Like ``in_windows`` for (B, H, W, C), in windows of one size, because the sizes of a trace are symbols.

    Windows that the picture's edge cuts are filled with pixels that others do not see.
    """
    before, after = (side - start, start) if start else (0, 0)
    height, width = pixels.shape[1:3]
    filled = _cut(F.pad(pixels, (0, 0, before, after, before, after)), side, side)
    outside = None
    if start:
        down, across = (_outside(length, side, before, after, pixels.device) for length in (height, width))
        outside = (down[:, None, :, None] | across[:, None, :]).flatten(2, 3).flatten(0, 1)
    result = function(filled.flatten(0, 2).flatten(1, 2), (side, side), outside)
    return F.pad(_joined(result.view(filled.shape)), (0, 0, -before, -after, -before, -after))


def _outside(length: int, side: int, before: int, after: int, device: torch.device) -> Tensor:
    """(windows, side): which pixels along an axis the filling added."""
    place = torch.arange(-before, length + after, device=device)
    return ((place < 0) | (place >= length)).unflatten(0, (-1, side))


def _cut(pixels: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, C) → (B, windows down, windows across, height, width, C)."""
    return pixels.unflatten(2, (-1, width)).unflatten(1, (-1, height)).transpose(2, 3)


def _joined(windows: Tensor) -> Tensor:
    """(B, windows down, windows across, height, width, C) → (B, H, W, C)."""
    return windows.transpose(2, 3).flatten(3, 4).flatten(1, 2)
