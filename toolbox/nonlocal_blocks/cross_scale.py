"""Attention across scales: each pixel gathers larger patches that look like its own when shrunk.

A query is the 3×3 patch around a pixel. A key is a 3×3 patch of the features shrunk by s. Its value is the 3s×3s patch
of the features that was shrunk to the key. The weighted patches are laid over one another at s times the size, and a
convolution of stride s brings the result back to size.

The convolution is linear in the values, so the code applies it before the attention, once per key. It turns a patch of
3s×3s values into 4×4. The first row and column of queries need another convolution, because the parts of their patches
beyond the border are cut off in between. The code computes scores for a few queries and keys at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.config import Padding
from toolbox.padding import cropped, padded

SHARPNESS = 10.0  # factor of the scores before the softmax
SMALLEST_NORM = 1e-4  # least norm of a key, which is divided by it
OVERLAPS = 6.0  # divisor of the laid down patches
QUERIES, KEYS = 1024, 1024  # at a time, so that scores and gathered values stay in the cache

# Rows (or columns) of a 3×3 kernel that see a patch: all, from its first row on, or up to its last.
INSIDE, FROM_FIRST, TO_LAST = range(3)
SEEN = ((1, 1, 1), (0, 1, 1), (1, 0, 0))
# Those for each of the four rows that a patch reaches: usually, and where the border cuts off its first s.
REACHED = (FROM_FIRST, INSIDE, INSIDE, TO_LAST)
CUT = (FROM_FIRST, FROM_FIRST, INSIDE, TO_LAST)


class CrossScaleAttention(nn.Module):
    """Features (B, C, H, W), any range → (B, C · number of scales, H, W), one after the other.

    The result is not added to the features. Sizes that a scale does not divide are padded at the right and bottom by
    reflection, and the result is cropped.

    The published code fails for a side that is too short to reflect; here it is reflected again.

    Source: Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars
    Mining", CVPR 2020, Section 3.1, as it is changed in the code of Cao et al., "CiaoSR", CVPR 2023.
    """

    def __init__(self, channels: int, scales: Sequence[int] = (2,)) -> None:
        super().__init__()
        self.scales = tuple(scales)
        embedded = max(1, channels // 2)
        self.query, self.key = (nn.Sequential(nn.Conv2d(channels, embedded, 1), nn.PReLU()) for _ in range(2))
        self.value = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.PReLU())
        self.shrink = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=s, padding=1) for s in self.scales)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C · number of scales, H, W)."""
        height, width = features.shape[-2:]
        gathered = []
        for scale, shrink in zip(self.scales, self.shrink, strict=True):
            whole = padded(features, Padding(scale))
            embedded = [self.query(whole), self.key(shrunk(whole, scale)), self.value(whole)]
            if torch.compiler.is_compiling():
                convolved = shrink(laid_down_at_once(*embedded, scale))
            else:
                convolved = attend_across(embedded, shrink.weight, scale) + shrink.bias[:, None, None]  # type: ignore[arg-type,index]  # tensors
            gathered.append(cropped(convolved, height, width) / OVERLAPS)
        return torch.cat(gathered, 1)


def shrunk(features: Tensor, scale: int) -> Tensor:
    """(B, C, H, W) → (B, C, H / scale, W / scale), bilinear between the pixels in the middle."""
    height, width = features.shape[-2:]
    return F.interpolate(features, size=(height // scale, width // scale), mode="bilinear", align_corners=False)


def normalized_keys(bordered: Tensor) -> Tensor:
    """(B, C, h + 2, w + 2) → (B, 9 · C, h · w): the 3×3 patches, normalized unless they are almost zero."""
    patches = F.unfold(bordered, 3)
    return patches / patches.norm(dim=1, keepdim=True).clamp(min=SMALLEST_NORM)


def laid_down_at_once(queries: Tensor, keys: Tensor, values: Tensor, scale: int) -> Tensor:
    """The patches that ``attend_across`` gathers, laid over one another: (B, C, scale · H, scale · W).

    All scores are in memory at once, and patches are laid down at full size: for a graph, which has no loops.
    """
    scores = SHARPNESS * (F.unfold(queries, 3, padding=1).mT @ normalized_keys(with_border(keys)))
    patches = F.unfold(values, 3 * scale, padding=scale, stride=scale)
    size = scale * queries.shape[2], scale * queries.shape[3]
    return F.fold(patches @ scores.softmax(2).mT, size, 3 * scale, padding=scale, stride=scale)


def with_border(image: Tensor) -> Tensor:
    """(B, C, H, W) → (B, C, H + 2, W + 2), with zeros around."""
    return F.pad(image, (1, 1, 1, 1))


def attend_across(embedded: list[Tensor], kernel: Tensor, scale: int) -> Tensor:
    """Gather patches of values, lay them over one another at ``scale`` times the size, and convolve with that stride.

    Args:
        embedded: queries (B, L, H, W), keys (B, L, H / scale, W / scale) and values (B, C, H, W). The list is emptied,
            so that each is freed as soon as it is not needed: together they would take more than the rest.
        kernel: (C', C, 3, 3), of the convolution that follows.
        scale: how much smaller the keys are, at least 2.

    Returns:
        (B, C', H, W), without the convolution's bias.
    """
    batch, _, height, width = embedded[0].shape
    rows, columns = embedded[1].shape[-2:]
    convolved = _convolved(embedded.pop(), kernel, scale)
    keys, queries = with_border(embedded.pop()), with_border(embedded.pop())
    laid_down = convolved.new_zeros(batch, height + 3, width + 3, kernel.shape[0])  # one pixel before the first
    step = max(1, KEYS // columns)
    for band in _bands(height, width):
        seen = queries[:, :, band.rows.start : band.rows.stop + 2, band.columns.start : band.columns.stop + 2]
        query = SHARPNESS * F.unfold(seen, 3).mT
        pieces = (
            (
                normalized_keys(keys[:, :, start : min(start + step, rows) + 2]),
                _reached(convolved, start, min(start + step, rows), columns, band.at_top, band.at_left).flatten(1, 2),
            )
            for start in range(0, rows, step)
        )
        down, right = band.rows.stop - band.rows.start, band.columns.stop - band.columns.start
        gathered = _softmax_average(query, pieces).unflatten(1, (down, right)).unflatten(3, (4, 4, -1))
        for y, x in product(range(4), range(4)):
            top, left = band.rows.start + y, band.columns.start + x
            laid_down[:, top : top + down, left : left + right] += gathered[:, :, :, y, x]
    return laid_down[:, 1 : height + 1, 1 : width + 1].permute(0, 3, 1, 2)


class _Band:
    """A rectangle of queries that the border treats alike."""

    def __init__(self, top: int, bottom: int, left: int, right: int) -> None:
        self.rows, self.columns = slice(top, bottom), slice(left, right)
        self.at_top, self.at_left = top == 0, left == 0


def _bands(height: int, width: int) -> Iterator[_Band]:
    """The queries of a picture, in bands of about the right number."""
    for top, bottom in ((0, 1), (1, height)):
        for left, right in ((0, 1), (1, width)):
            step = max(1, QUERIES // max(1, right - left))
            if left < right:
                yield from (_Band(y, min(y + step, bottom), left, right) for y in range(top, bottom, step))


def _convolved(values: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """(B, h + 3, w + 3, 3, 3, C'): the values convolved with stride ``scale``, by the parts of the kernel.

    Numbers 3 are ``INSIDE``, ``FROM_FIRST`` and ``TO_LAST`` for rows and for columns. Positions begin one before
    the first pixel.
    """
    seen = kernel.new_tensor(SEEN)
    kernels = kernel * (seen[:, None, :, None] * seen[None, :, None, :])[:, :, None, None]
    padded = F.pad(values, (scale + 1, scale + 2, scale + 1, scale + 2))
    # Channels last, as they are read: the nine maps are large, and would be copied.
    maps = F.conv2d(padded.contiguous(memory_format=torch.channels_last), kernels.flatten(0, 2), stride=scale)
    return maps.permute(0, 2, 3, 1).contiguous().unflatten(3, (3, 3, -1))


def _reached(convolved: Tensor, start: int, stop: int, columns: int, at_top: bool, at_left: bool) -> Tensor:
    """(B, stop − start, columns, 16 · C'): the values that the patch of each key adds to the 4×4 pixels it reaches."""
    down, right = CUT if at_top else REACHED, CUT if at_left else REACHED
    parts = [
        convolved[:, start + y : stop + y, x : x + columns, down[y], right[x]] for y, x in product(range(4), range(4))
    ]
    return torch.cat(parts, -1)


def _softmax_average(query: Tensor, pieces: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    """softmax(query · keys) · values: (B, N, L) and pieces (B, L, M), (B, M, C) → (B, N, C), a piece at a time."""
    largest, total, average = query.new_tensor(-math.inf), query.new_zeros(()), query.new_zeros(())
    for keys, values in pieces:
        scores = query @ keys
        highest = torch.maximum(largest, scores.detach().amax(2, keepdim=True))
        weights = (scores - highest).exp()
        kept = (largest - highest).exp()  # the weight of the earlier pieces now
        total, average = kept * total + weights.sum(2, keepdim=True), kept * average + weights @ values
        largest = highest
    return average / total
