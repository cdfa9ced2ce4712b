"""Estimate the blur of a picture by its edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.degradations.blur import gaussian_kernel

REBLUR = 1.0  # σ in pixels of the blur to compare with
EDGES = 0.02  # share of the pixels with the steepest gradients
FAINTEST = 0.01  # gradient of an edge, as a part of white
DIFFERENCE = 1 / 12  # variance that the difference of neighbors adds, as a box of one pixel
SMALLEST = 16  # side of a part in pixels
SHARPEST = 0.25  # quantile of the blur over these edges: an edge may be soft in a sharp picture


def estimate_blur(windows: Sequence[Tensor]) -> float | None:
    """The σ in pixels of the Gaussian that blurs the edges of parts of a picture (H, W), or None if they have no edge.

    A step edge blurred by σ and then by σ₀ has the gradient 1 / √(1 + σ₀² / σ²) of before (Zhuo & Sim, Defocus Map
    Estimation from a Single Image, Pattern Recognition 2011).
    """
    windows = [window for window in windows if min(window.shape) >= SMALLEST]
    if not windows:
        return None
    before = torch.cat([_gradient(window).flatten() for window in windows])
    after = torch.cat([_gradient(_blurred(window)).flatten() for window in windows])
    steep = before >= max(float(_quantile(before, 1 - EDGES)), FAINTEST)
    if not bool(steep.any()):
        return None
    ratio = (before[steep] / after[steep].clamp_min(1e-9)).clamp_min(1.001)
    variance = REBLUR**2 / (ratio.square() - 1) - DIFFERENCE
    return max(0.0, float(_quantile(variance, SHARPEST))) ** 0.5


def _gradient(luma: Tensor) -> Tensor:
    """The length of the gradient between neighbors, (H - 1, W - 1)."""
    return torch.hypot(luma[:-1, 1:] - luma[:-1, :-1], luma[1:, :-1] - luma[:-1, :-1])


def _blurred(luma: Tensor) -> Tensor:
    kernel = gaussian_kernel(REBLUR).to(luma)
    padded = F.pad(luma[None, None], (len(kernel) // 2,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[0, 0]


def _quantile(values: Tensor, share: float) -> Tensor:
    """A quantile of at most a million of the values; torch takes no more than 16 million."""
    return torch.quantile(values[:: -(-len(values) // 2**20)], share)
