"""What makes a bad picture of a good one, so that a network can learn the way back."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.decoders.bicubic import antialiased


def add_noise(clean: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise, not clipped.

    Args:
        clean: image in [0, 1], any shape.
        sigma: standard deviation on the scale of 0 to 255.
        generator: where the noise is drawn.
    """
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
    return clean + noise * (sigma / 255)


def reduce_bicubic(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Reduce (B, C, H, W) in [0, 1] with an antialiased bicubic (a = −0.5), rounded to 8 bits."""
    return (antialiased(image, size) * 255).round().clamp(0, 255) / 255
