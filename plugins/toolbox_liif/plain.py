"""LIIF's decoder as published: one network for all inputs, at output resolution.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.plugin import linear, plain_area_weights, plain_corners


def local_ensemble(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LIIF's decoder as published: grid_sample at four shifted coordinates, one network for all, areas swapped."""
    config = decoder.config
    height, width = features.shape[-2:]
    seen = F.unfold(features, 3, padding=1) if config.feature_unfolding else features.flatten(2)
    cell = features.new_tensor([2 / size[0] * height, 2 / size[1] * width]).view(1, 2, 1, 1)
    first = torch.cat((decoder.content.weight.flatten(1), decoder.position.weight), 1)
    around = plain_corners((height, width), size, ensemble=config.local_ensemble)
    predictions = []
    for (pixel, dy, dx), weight in zip(around, plain_area_weights(around, features), strict=True):
        inputs = [seen[:, :, pixel.flatten()].unflatten(2, size), torch.stack((dy, dx))[None].to(features.dtype)]
        inputs += [cell.expand(-1, -1, *size)] if config.cell_decoding else []
        hidden = torch.cat([each.expand(len(features), -1, -1, -1) for each in inputs], 1)
        hidden = linear(hidden, first, decoder.content.bias)
        for layer in decoder.layers:
            hidden = F.relu(hidden) if isinstance(layer, nn.ReLU) else linear(hidden, layer.weight, layer.bias)
        predictions.append(hidden * weight)
    return torch.stack(predictions).sum(0)
