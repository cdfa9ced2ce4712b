"""LIIF's decoder as it is published: one network for all inputs, at output resolution.

An oracle for the fast decoder, and what `toolbox bench` measures it against. It takes the decoder's
own weights and nothing else of it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.plugin import linear, sampled


def local_ensemble(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LIIF's decoder as published: grid_sample at four shifted coordinates, one network for all, areas swapped."""
    config = decoder.config
    height, width = features.shape[-2:]
    y, x = _published_centers(size[0]), _published_centers(size[1])
    seen = F.unfold(features, 3, padding=1) if config.feature_unfolding else features.flatten(2)
    predictions, areas = [], []
    for vertical, horizontal in [(-1, -1), (-1, 1), (1, -1), (1, 1)] if config.local_ensemble else [(0, 0)]:
        pixel = sampled(
            (height, width),
            y + (vertical / height + 1e-6 if vertical else 0),
            x + (horizontal / width + 1e-6 if horizontal else 0),
        )
        dy = (y[:, None] - _published_centers(height)[pixel // width]) * height
        dx = (x[None, :] - _published_centers(width)[pixel % width]) * width
        cell = features.new_tensor([2 / size[0] * height, 2 / size[1] * width]).view(1, 2, 1, 1)
        inputs = [seen[:, :, pixel.flatten()].unflatten(2, size), torch.stack((dy, dx))[None].to(features.dtype)]
        inputs += [cell.expand(-1, -1, *size)] if config.cell_decoding else []
        hidden = torch.cat([each.expand(len(features), -1, -1, -1) for each in inputs], 1)
        first = torch.cat((decoder.content.weight.flatten(1), decoder.position.weight), 1)
        hidden = linear(hidden, first, decoder.content.bias)
        for layer in decoder.layers:
            hidden = F.relu(hidden) if isinstance(layer, nn.ReLU) else linear(hidden, layer.weight, layer.bias)
        predictions.append(hidden)
        areas.append((dy * dx).abs().to(features.dtype) + 1e-9)
    total = sum(areas)
    opposite = areas[::-1]
    return torch.stack([p * (area / total) for p, area in zip(predictions, opposite, strict=True)]).sum(0)


def _published_centers(count: int) -> Tensor:
    """In float32: where both pixels of an axis are the same one, the published weights are its rounding."""
    return -1 + 1 / count + 2 / count * torch.arange(count).float()
