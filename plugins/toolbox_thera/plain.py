"""Thera's decoder as published: a field of its own, and its sines, at every output pixel.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def heat_field(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """Thera's decoder as published: features at each output pixel, its field's parameters, its sines."""
    height, width = features.shape[-2:]
    y, x = (_centers(count) for count in size)
    row, column = _nearest(y.float(), height), _nearest(x.float(), width)
    parameters = decoder.field(features[:, :, row][..., column])
    weights, phases = parameters.unflatten(1, (-1, decoder.hidden)).split((decoder.channels, 1), 1)  # (B, c, h, H', W')
    down, right = (y - _centers(height)[row]) * height, (x - _centers(width)[column]) * width
    offsets = torch.stack(torch.broadcast_tensors(down[:, None], right[None, :]), -1).to(features)
    angle = (offsets @ decoder.frequencies).permute(2, 0, 1)
    norm = decoder.frequencies.norm(dim=0)[:, None, None]
    sines = torch.sin(angle + phases) * torch.exp(-(norm**2) * decoder.diffusivity * (size[0] / height) ** -2)
    return (weights * sines).sum(2) + decoder.bias[:, None, None]


def _centers(count: int) -> Tensor:
    """The centers of pixels in [−0.5, 0.5]."""
    return torch.linspace(-0.5 + 1 / (2 * count), 0.5 - 1 / (2 * count), count, dtype=torch.float64)


def _nearest(position: Tensor, count: int) -> Tensor:
    """The pixel of each position, in float32 as published; halves are rounded away from zero."""
    place = position * count + (count - 1) / 2
    return (place.sign() * (place.abs().double() + 0.5).floor()).clamp(0, count - 1).long()
