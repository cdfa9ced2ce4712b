"""Distances between a restored picture and the original."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.errors import ImageError

# Luma of BT.601 in [16, 235], as MATLAB's rgb2ycbcr weighs RGB in [0, 1], without the offset.
LUMA = (65.738 / 256, 129.057 / 256, 25.064 / 256)


def psnr(restored: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [0, 1], over all values; infinite when equal."""
    if restored.shape != original.shape:
        raise ImageError(
            f"got pictures of shapes {tuple(restored.shape)} and {tuple(original.shape)}, expected the same"
        )
    error = (restored.double() - original.double()).square().mean()
    return (-10 * torch.log10(error)).item()


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) RGB in [0, 1] → (B, 1, H, W), up to a constant."""
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)
