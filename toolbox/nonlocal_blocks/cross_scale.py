"""Attention across scales: each pixel gathers larger patches that look like its own when shrunk.

A query is the 3×3 patch around a pixel. A key is a 3×3 patch of the features shrunk by s. Its value is the 3s×3s patch
of the features that was shrunk to the key. The weighted patches are laid over one another at s times the size. With s×s
pixels as one value, these are patches of 3×3 values, so that ``patches.py`` gathers them. A convolution of stride s
brings the result back to size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.config import Padding
from toolbox.nonlocal_blocks.patches import Grid, attend_patches, attended_strips
from toolbox.nonlocal_blocks.scratch import side_by_side
from toolbox.padding import cropped, padded

OVERLAPS = 6.0  # divisor of the laid down patches


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
            gathered.append(cropped(self._reduced(whole, scale, shrink), height, width))
        return gathered[0] if len(gathered) == 1 else torch.cat(gathered, 1)

    def _reduced(self, features: Tensor, scale: int, shrink: nn.Module) -> Tensor:
        """What is gathered for one scale, brought back to size strip by strip, since it is scale² times as large."""
        queries, keys = self.query(features), self.key(shrunk(features, scale))
        if torch.compiler.is_compiling():
            reduced: Tensor = shrink(laid_down(queries, keys, self.value(features), scale))
            return reduced / OVERLAPS
        # The convolution sees one cell to the left. The cells have no name here, so that they can be freed.
        strips = attended_strips(queries, [Grid(keys, F.pixel_unshuffle(self.value(features), scale))], before=1)
        convolved = (shrink(F.pixel_shuffle(strip, scale)) / OVERLAPS for strip in strips)
        own = (part[..., min(1, number) :] for number, part in enumerate(convolved))
        return side_by_side(own, features.shape[3])


def shrunk(features: Tensor, scale: int) -> Tensor:
    """(B, C, H, W) → (B, C, H / scale, W / scale), bilinear between the pixels in the middle."""
    height, width = features.shape[-2:]
    return F.interpolate(features, size=(height // scale, width // scale), mode="bilinear", align_corners=False)


def laid_down(queries: Tensor, keys: Tensor, values: Tensor, scale: int) -> Tensor:
    """Gather patches of values and lay them over one another at ``scale`` times the size.

    Args:
        queries: (B, L, H, W).
        keys: (B, L, H / scale, W / scale).
        values: (B, C, H, W).
        scale: how much smaller the keys are.

    Returns:
        (B, C, scale · H, scale · W); overlaps are added up.
    """
    cells = F.pixel_unshuffle(values, scale)
    return F.pixel_shuffle(attend_patches(queries, [Grid(keys, cells)]), scale)
