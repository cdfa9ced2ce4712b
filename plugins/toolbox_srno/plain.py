"""SRNO's decoder as published: all positions at once, at output resolution.

The tests compare the fast decoder with it, and `toolbox bench` times one against the other. It shares only
the weights with the fast decoder.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.plugin import linear, plain_area_weights, plain_corners


def neural_operator(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """SRNO's decoder as published: offsets, weighted corners and cell of all positions, and 1×1 convolutions."""
    height, width = features.shape[-2:]
    largest = decoder.config.largest_scale
    clip = 1.0 if largest is None else max(size[0] / height / largest, 1.0)
    cell = features.new_tensor([2 / size[0] * height * clip, 2 / size[1] * width * clip]).view(1, 2, 1, 1)
    around = plain_corners((height, width), size)
    offsets = torch.stack([offset for _, dy, dx in around for offset in (dy, dx)])[None].to(features.dtype)
    seen = [
        features.flatten(2)[:, :, pixel.flatten()].unflatten(2, size) * weight
        for (pixel, _, _), weight in zip(around, plain_area_weights(around, features), strict=True)
    ]
    inputs = torch.cat([each.expand(len(features), -1, *size) for each in (offsets, *seen, cell)], 1)
    position, content = decoder.position.weight, decoder.content
    x = linear(inputs, torch.cat((position[:, :8], content.weight, position[:, 8:]), 1), content.bias)
    for layer in (decoder.first, decoder.second):
        x = _attended(layer, x)
    first, _, last = decoder.colors
    return linear(F.gelu(linear(x, first.weight, first.bias)), last.weight, last.bias)


def _attended(layer: Any, x: Tensor) -> Tensor:
    """One layer of Galerkin attention: (B, C, H', W') → the same shape."""
    query, key, value = (
        linear(x, each.weight, each.bias).flatten(2).unflatten(1, (layer.heads, -1)).mT
        for each in (layer.query, layer.key, layer.value)
    )
    key, value = (_normalized(each, layer.scale[i], layer.shift[i]) for i, each in enumerate((key, value)))
    attended = query @ (key.mT @ value / key.shape[2])  # (B, heads, H'·W', d)
    mixed = attended.mT.flatten(1, 2).view_as(x) + x
    hidden = F.gelu(linear(mixed, layer.inner.weight, layer.inner.bias))
    return linear(hidden, layer.outer.weight, layer.outer.bias) + x


def _normalized(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    mean, deviation = values.mean(-1, keepdim=True), values.std(-1, keepdim=True)
    return (values - mean) / (deviation + 1e-5) * scale[:, None] + shift[:, None]
