"""LTE's decoder as published: waves and network at output resolution.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.plugin import linear, plain_area_weights, plain_corners


def local_texture(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LTE's decoder as published: maps at four shifted coordinates, one network for all, areas swapped."""
    height, width = features.shape[-2:]
    largest = decoder.config.largest_scale
    clip = 1.0 if largest is None else max(size[0] / height / largest, 1.0)
    cell = features.new_tensor([2 / size[0] * height * clip, 2 / size[1] * width * clip])
    phase = (decoder.phase.weight @ cell)[:, None, None]
    amplitudes, frequencies = decoder.amplitude(features).flatten(2), decoder.frequency(features).flatten(2)
    around = plain_corners((height, width), size)
    predictions = []
    for (pixel, dy, dx), weight in zip(around, plain_area_weights(around, features), strict=True):
        amplitude, frequency = (each[:, :, pixel.flatten()].unflatten(2, size) for each in (amplitudes, frequencies))
        vertical, horizontal = frequency.chunk(2, 1)
        angle = math.pi * (vertical * dy.to(features.dtype) + horizontal * dx.to(features.dtype) + phase)
        hidden = amplitude * torch.cat((torch.cos(angle), torch.sin(angle)), 1)
        for layer in decoder.layers:
            hidden = F.relu(hidden) if isinstance(layer, nn.ReLU) else linear(hidden, layer.weight, layer.bias)
        predictions.append(hidden * weight)
    return torch.stack(predictions).sum(0)
