"""What plain versions of implicit decoders share: published sampling and 1×1 convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sampled(shape: tuple[int, int], y: Tensor, x: Tensor) -> Tensor:
    """Numbers of the pixels that nearest ``grid_sample`` picks at float32 coordinates, clamped inside."""
    edge = 1 - 1e-6
    grid = torch.stack(torch.broadcast_tensors(x[None, :].clamp(-edge, edge), y[:, None].clamp(-edge, edge)), -1)
    numbers = torch.arange(shape[0] * shape[1], dtype=torch.float32).view(1, 1, *shape)
    return F.grid_sample(numbers, grid[None], mode="nearest", align_corners=False)[0, 0].long()


def linear(image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer at every pixel of (B, C, H, W)."""
    return F.conv2d(image, weight[:, :, None, None], bias)
