"""A Gaussian blur of a single picture, cheap enough for every patch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_kernel(deviation: float) -> Tensor:
    """A Gaussian sampled at whole pixels to three standard deviations, with the sum 1; one axis, float32."""
    radius = max(1, math.ceil(3 * deviation))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / deviation) ** 2)
    return kernel / kernel.sum()


def gaussian_blur(picture: Tensor, deviation: float) -> Tensor:
    """Blur (C, H, W) by a standard deviation in pixels, with borders that wrap around.

    Wrapping keeps the statistics of noise the same everywhere. A side shorter than the kernel's radius
    cannot wrap.
    """
    kernel = gaussian_kernel(deviation).to(picture)
    radius = len(kernel) // 2
    rows, columns = kernel.view(1, 1, -1, 1), kernel.view(1, 1, 1, -1)
    padded = F.pad(picture[None], (radius,) * 4, mode="circular").transpose(0, 1)  # channels as a batch
    return F.conv2d(F.conv2d(padded, rows), columns).transpose(0, 1)[0]
