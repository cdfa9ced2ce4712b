"""MATLAB's luma, by which this field compares super-resolution."""

from __future__ import annotations

from torch import Tensor

# MATLAB's rgb2ycbcr: the luma of BT.601, which lifts black to 16/255 and has white at 235/255.
LUMA = (65.738 / 256, 129.057 / 256, 25.064 / 256)
LUMA_OF_BLACK = 16 / 255


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) RGB in [0, 1] → (B, 1, H, W), MATLAB's luma minus the luma of black, not rounded."""
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)
