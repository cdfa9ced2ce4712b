"""Estimate the noise of a picture, white or correlated, from its flattest blocks at several scales.

A small trained network turns statistics of blocks into a standard deviation. `examples/train_noise.py`
trained it.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("noise.safetensors")
SCALES = 4  # halvings of the resolution, and one
BLOCK, STEP = 32, 16  # side of a block and distance between blocks, in pixels of the picture
SHARES = (0.01, 0.05, 0.15, 0.3, 0.5, 0.8)  # quantiles of a band's energy over all blocks
FLATTEST = (0.05, 0.15)  # shares of the blocks with the least energy in all bands
FLOOR = 0.3  # levels of 255; the rounding of 8 bits is 0.29
CLIPPED = 0.02  # share of black and white pixels in a block; noise is smaller in a block with more
SMALLEST = 64  # side of a picture in pixels; smaller ones are mirrored
WIDTH = 48  # of the trained network's layers
STATISTICS = SCALES * 3 * (len(SHARES) + len(FLATTEST))  # of a plane


class NoiseHead(nn.Module):
    """Statistics of a picture (B, statistics) → log of the noise's σ, in levels of 255, plus 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, planes: int) -> None:
        super().__init__()
        count = planes * STATISTICS
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("std", torch.ones(count))
        self.layers = nn.Sequential(
            nn.Linear(count, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1)
        )

    def forward(self, statistics: Tensor) -> Tensor:
        """(B, statistics) → (B,)."""
        return self.layers((statistics - self.mean) / self.std)[:, 0]


def estimate_noise(picture: Tensor) -> float:
    """The standard deviation of a picture's noise over all channels, in levels of 255: (1 or 3, H, W) in [0, 1]."""
    if len(picture) == 3 and torch.equal(picture[0], picture[1]) and torch.equal(picture[0], picture[2]):
        picture = picture[:1]  # gray, saved as colors
    head = _heads()[len(picture)]
    with torch.no_grad():
        return max(0.0, math.expm1(float(head(statistics_of(picture)[None]))))


@cache
def _heads() -> dict[int, NoiseHead]:
    """The trained network for each number of channels."""
    tensors, heads = load_file(WEIGHTS), {1: NoiseHead(1), 3: NoiseHead(2)}
    for channels, head in heads.items():
        prefix = {1: "gray.", 3: "color."}[channels]
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        head.load_state_dict(own)
    return heads


def statistics_of(picture: Tensor) -> Tensor:
    """The statistics of a picture (1 or 3, H, W) in [0, 1], for ``NoiseHead``.

    Color pictures have those of the mean of the colors, and then those of the color differences.
    """
    picture = _large_enough(picture.float()) * 255
    usable = _unclipped(picture)
    if len(picture) == 1:
        return _plane_statistics(picture[0], usable)
    red, green, blue = picture
    differences = [(red - blue) / 2**0.5, (red - 2 * green + blue) / 6**0.5]
    chroma = torch.stack([_plane_statistics(each, usable) for each in differences]).mean(0)
    return torch.cat((_plane_statistics((red + green + blue) / 3**0.5, usable), chroma))


def _large_enough(picture: Tensor) -> Tensor:
    height, width = picture.shape[1:]
    if min(height, width) >= SMALLEST:
        return picture
    more = [(0, 0), (0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))]
    return torch.from_numpy(np.pad(picture.numpy(), more, mode="symmetric"))


def _unclipped(picture: Tensor) -> Tensor:
    """Which blocks are hardly clipped, (blocks,); all, if few are."""
    extreme = ((picture <= 0) | (picture >= 255)).any(0).float()[None, None]
    usable = F.avg_pool2d(extreme, BLOCK, STEP).flatten() <= CLIPPED
    return usable if int(usable.sum()) >= 8 else torch.ones_like(usable)


def _plane_statistics(plane: Tensor, usable: Tensor) -> Tensor:
    """The statistics (STATISTICS,) of a plane (H, W) over the usable blocks."""
    energies = _energies(plane)[:, usable]  # (bands, blocks)
    logs = 0.5 * torch.log(energies + FLOOR**2)
    quantiles = torch.quantile(logs, torch.tensor(SHARES), dim=1).T
    total = logs.sum(0)
    flattest = [logs[:, total <= torch.quantile(total, share)].mean(1, keepdim=True) for share in FLATTEST]
    return torch.cat((quantiles, *flattest), 1).flatten()


def _energies(plane: Tensor) -> Tensor:
    """The energy of each band in each block, (SCALES × 3, blocks): white noise of σ has σ² in those of the first scale.

    The bands are second derivatives across, down and both; noise has the last one even where edges are straight
    (Immerkær, Fast Noise Variance Estimation, CVIU 1996).
    """
    line = torch.tensor([1.0, -2.0, 1.0])
    kernels = [F.pad(line[None], (0, 0, 1, 1)) / 6**0.5, F.pad(line[:, None], (1, 1)) / 6**0.5, line.outer(line) / 6]
    weight = torch.stack(kernels)[:, None]
    scaled, bands = plane[None, None], []
    for scale in range(SCALES):
        derivatives = F.conv2d(F.pad(scaled, (1, 1, 1, 1), mode="reflect"), weight)
        bands.append(F.avg_pool2d(derivatives.square(), BLOCK >> scale, STEP >> scale)[0])
        scaled = F.avg_pool2d(scaled, 2)
    rows, columns = (min(each.shape[axis] for each in bands) for axis in (1, 2))
    return torch.cat([each[:, :rows, :columns].flatten(1) for each in bands])
