"""Meta-SR's decoder as published: a filter for each output pixel.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import linear, sampled


def meta_upscale(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """Meta-SR's decoder as published: the filter of each output pixel follows from its top-left corner's offset."""
    height, width = features.shape[-2:]
    y, x = _centers(size[0]) - 1 / size[0], _centers(size[1]) - 1 / size[1]
    pixel = sampled((height, width), y.float() + 1e-6, x.float() + 1e-6)
    dy = (y[:, None] - (_centers(height)[pixel // width] - 1 / height)) * height / 2
    dx = (x[None, :] - (_centers(width)[pixel % width] - 1 / width)) * width / 2
    position = torch.stack((dy, dx, torch.full_like(dy, height / size[0])))[None].to(features.dtype)
    hidden = F.relu(linear(position, decoder.hidden.weight, decoder.hidden.bias))
    filters = linear(hidden, decoder.filters.weight, decoder.filters.bias).unflatten(1, (-1, decoder.channels))
    seen = F.unfold(features, 3, padding=1)[:, :, pixel.flatten()].unflatten(2, size)
    return (seen[:, :, None] * filters).sum(1)


def _centers(count: int) -> Tensor:
    return torch.tensor([-1 + (2 * i + 1) / count for i in range(count)], dtype=torch.float64)
