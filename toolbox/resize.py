"""Bicubic resizing of tensors: the baseline of every network, and a part inside many."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.symbolic import exact, known

TAPS = 4  # rows of an image in a row of the enlarged one


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) bicubically, in the same range (with overshoot); the same size is exact.

    Enlarging is torch's bicubic (a = −0.75). Where an axis shrinks, the kernel (a = −0.5) is widened against
    aliasing.
    """
    height, width = image.shape[-2:]
    if is_size(image, size):
        return image
    if known(size[0] >= height) and known(size[1] >= width):
        return F.interpolate(image, size=size, mode="bicubic")
    if any(isinstance(length, torch.SymInt) for length in (height, width, *size)):
        return _resampled(image, size)
    return antialiased(image, size)


def enlarged_rows(rows: Tensor, top: int, height: int, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """The rows [start, stop) of ``resize`` of an image of which only some rows are here, for sizes that don't shrink.

    Args:
        rows: (B, C, rows, W), those of ``rows_to_enlarge``.
        top: the row of the image that is the first one.
        height: of the image.
        size: height and width of the result.
        start: the first row of the result.
        stop: the row after the last one.
    """
    if height == size[0]:
        return resize(rows, (rows.shape[2], size[1]))[:, :, start - top : stop - top]
    if top == 0 and rows.shape[2] == height:
        return resize(rows, size)[:, :, start:stop]
    scale = size[0] // height
    if size[0] == scale * height and scale & (scale - 1) == 0:  # where torch rounds no coordinate
        return resize(rows, (scale * rows.shape[2], size[1]))[:, :, start - scale * top : stop - scale * top]
    wide = resize(rows, (rows.shape[2], size[1]))
    weights = _row_weights(height, size[0], rows)[start:stop]
    first = torch.tensor([_first_row(row, height, size[0]) for row in range(start, stop)], device=rows.device)
    result = torch.zeros_like(wide[:, :, :1])
    for step in range(TAPS):
        row = first + step
        weight = weights.gather(1, (row % TAPS)[:, None])
        result = result + wide.index_select(2, row - top) * weight
    return result


def rows_to_enlarge(height: int, size: tuple[int, int], start: int, stop: int) -> tuple[int, int]:
    """The rows of an image on which the rows [start, stop) of its enlarged version depend."""
    if height == size[0]:
        return start, stop
    if height < TAPS:
        return 0, height
    return _first_row(start, height, size[0]), _first_row(stop - 1, height, size[0]) + TAPS


def _first_row(row: int, height: int, target: int) -> int:
    """The first of the four rows of an image from which a row of the enlarged one comes, inside the image."""
    center = (2 * row + 1) * height - target  # times 2 · target, in integers
    return min(max(center // (2 * target) - 1, 0), height - TAPS)


def _row_weights(height: int, target: int, like: Tensor) -> Tensor:
    """(target, 4): the weight of rows 0, 4, 8 ..., of rows 1, 5, 9 ..., and so on, in each row of the enlarged image.

    They come from torch's own interpolation, whose rounding they have.
    """
    marks = torch.eye(TAPS, dtype=like.dtype, device=like.device)
    image = marks.repeat(-(-height // TAPS), 1)[None, None, :height]
    return F.interpolate(image, size=(target, TAPS), mode="bicubic")[0, 0]


def is_size(image: Tensor, size: tuple[int, int]) -> bool:
    """Whether (B, C, H, W) has that size; for symbolic sizes, whether it always has."""
    return known(size[0] == image.shape[-2]) and known(size[1] == image.shape[-1])


def antialiased(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) with the bicubic kernel a = −0.5, widened where an axis shrinks."""
    if size[1] == 1 < size[0]:  # torch repeats the first row in outputs of width 1
        return antialiased(image.mT, (1, size[0])).mT
    return F.interpolate(image, size=size, mode="bicubic", antialias=True)


def _resampled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The result of ``resize`` by one formula for all sizes: a matrix of weights for each axis."""
    axes = list(zip(image.shape[-2:], size, strict=True))
    larger = [exact(after, image.device) >= exact(before, image.device) for before, after in axes]
    rows, columns = (_weights(before, after, larger[0] & larger[1]).to(image.dtype) for before, after in axes)
    for dim, (before, _) in zip((-2, -1), axes, strict=True):
        image = image.index_select(dim, torch.arange(-2, before + 2, device=image.device).clamp(0, before - 1))
    return rows @ image @ columns.mT


def _weights(before: int, after: int, enlarges: Tensor) -> Tensor:
    """(after, before + 4): the weight of each input pixel in each output pixel; both end pixels count three times."""
    device = enlarges.device
    ratio = exact(before, device) / exact(after, device)
    pixel = torch.arange(-2, before + 2, dtype=torch.float64, device=device) + 0.5
    center = (torch.arange(after, dtype=torch.float64, device=device) + 0.5) * ratio
    distance = ((pixel - center[:, None]) / torch.where(enlarges, 1.0, ratio.clamp(min=1))).abs()
    a = torch.where(enlarges, -0.75, -0.5).double()
    near = ((a + 2) * distance - (a + 3)) * distance.square() + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, far) * (distance < 2)
    inside = (pixel > 0) & (pixel < exact(before, device))
    weights = weights * (inside | enlarges)  # the widened kernel is cut off at the border
    return weights / weights.sum(1, keepdim=True)
