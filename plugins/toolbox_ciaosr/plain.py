"""CiaoSR's decoder as it is published: whole networks for keys and values, at output resolution.

An oracle for the fast decoder, and what `toolbox bench` measures it against. It takes the decoder's
own weights and nothing else of it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.plugin import cross_scale_attention, linear, plain_centers, sampled


def implicit_attention(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """CiaoSR's decoder as published: unfolded features at shifted coordinates, networks of them, and a softmax."""
    height, width = features.shape[-2:]
    seen = F.unfold(features, 3, padding=1)  # (B, 9 · features, H · W)
    gathered = [] if decoder.across is None else [cross_scale_attention(decoder.across, features).flatten(2)]
    valued = torch.cat((seen, *gathered), 1)
    y, x = plain_centers(size[0]), plain_centers(size[1])
    query = seen[:, :, sampled((height, width), y, x).flatten()].unflatten(2, size)
    cell = features.new_tensor([2 / size[0] * height, 2 / size[1] * width])
    logits, values = [], []
    for down, right in product(_shifts(decoder, height, size[0]), _shifts(decoder, width, size[1])):
        pixel = sampled((height, width), y + down, x + right)
        dy = (y[:, None] - plain_centers(height)[pixel // width]) * height
        dx = (x[None, :] - plain_centers(width)[pixel % width]) * width
        place = torch.stack(torch.broadcast_tensors(dy.to(features.dtype), dx.to(features.dtype), *cell))[None]
        key, value = (each[:, :, pixel.flatten()].unflatten(2, size) for each in (seen, valued))
        score = (query * key * _network(decoder.key, key, place)).sum(1)
        logits.append(score / decoder.config.softness)
        values.append(value * _network(decoder.value, value, place))
    shares = torch.stack(logits).softmax(0)
    average = torch.stack([value * share[:, None] for value, share in zip(values, shares, strict=True)]).sum(0)
    return _through(decoder.colors, average)


def _shifts(decoder: Any, features: int, outputs: int) -> list[float]:
    """Of coordinates along an axis, to the neighbors."""
    shift = (1 - 2 / outputs) / (features - 1) if features > 1 else 0.0
    return {
        1: [0.0],
        2: [-shift + 1e-6, shift + 1e-6],
        3: [-shift + 1e-6 * (shift != 0), 0.0, shift + 1e-6 * (shift != 0)],
    }[decoder.config.neighbors]


def _network(network: Any, content: Tensor, place: Tensor) -> Tensor:
    inputs = torch.cat((content, place.expand(len(content), -1, -1, -1)), 1)
    first = torch.cat((network.content.weight, network.position.weight), 1)
    hidden = _through(network.layers, linear(inputs, first, network.content.bias))
    return linear(hidden, network.output.weight, network.output.bias)


def _through(layers: Any, values: Tensor) -> Tensor:
    for layer in layers:
        values = F.relu(values) if isinstance(layer, nn.ReLU) else linear(values, layer.weight, layer.bias)
    return values
