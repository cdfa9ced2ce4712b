"""LMF's decoders as published: modulations gathered for every position, and 1×1 convolutions at output resolution.

The tests compare the fast decoders with them, and `toolbox bench` times one against the other. They share only
the weights with the fast decoders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.plugin import cross_scale_attention, linear, plain_area_weights, plain_corners

Inputs = Callable[[Tensor, Tensor, Tensor], Tensor]  # (codes, offsets y, offsets x), at all positions → inputs


def modulated_ensemble(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LM-LIIF's decoder as published: unfold, hypernetwork, its output sampled at four shifted coordinates."""
    cell = _cell(decoder, features, size)
    seen = F.unfold(features, 3, padding=1).unflatten(2, features.shape[-2:])
    first, hidden = decoder.content, _spread(cell, seen)
    weight = torch.cat((first.weight.flatten(1), decoder.cell.weight), 1)
    latent = linear(torch.cat((seen, hidden), 1), weight, first.bias)
    latent = _mlp(decoder.latent, latent)
    modulation, code = latent.split((decoder.render.modulations, latent.shape[1] - decoder.render.modulations), 1)
    code = features if decoder.config.code is None else code

    def inputs(code: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        offset = torch.stack((dy, dx)).expand(len(code), -1, -1, -1)
        return torch.cat((code, offset, _spread(cell, code)), 1)

    return _rendered(decoder.render, modulation, code, inputs, size)


def modulated_texture(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LM-LTE's decoder as published: waves, hypernetwork, its output sampled at four shifted coordinates."""
    cell = _cell(decoder, features, size)
    vertical, horizontal = decoder.frequency(features).chunk(2, 1)
    angle = math.pi * (vertical + horizontal + (decoder.phase.weight @ cell)[:, None, None])
    latent = _mlp(decoder.latent, decoder.amplitude(features) * torch.cat((torch.cos(angle), torch.sin(angle)), 1))
    modulation, code = latent.split((decoder.render.modulations, latent.shape[1] - decoder.render.modulations), 1)
    phase = (decoder.code_phase.weight @ cell)[:, None, None]

    def inputs(code: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        amplitude, frequency = code.chunk(2, 1)
        vertical, horizontal = frequency.chunk(2, 1)
        angle = math.pi * (vertical * dy + horizontal * dx + phase)
        return amplitude * torch.cat((torch.cos(angle), torch.sin(angle)), 1)

    return _rendered(decoder.render, modulation, code, inputs, size)


def modulated_attention(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """LM-CiaoSR's decoder as published: blocks of the unfolded features attended, then as LM-LIIF's."""
    config, (height, width) = decoder.config, features.shape[-2:]
    cell = _cell(decoder, features, size)
    seen = F.unfold(features, 3, padding=1).unflatten(2, (height, width))
    blocks, found = seen.chunk(9, 1), _found(decoder, features)
    query = _mlp(decoder.queries, seen)
    scores, values = [], []
    for across in (-1, 1):
        for down in (-1, 1):
            top, left = (down + 1) // 2, (across + 1) // 2
            key = torch.cat([blocks[3 * row + column] for row in (top, top + 1) for column in (left, left + 1)], 1)
            value = torch.cat((key, found), 1)
            place = _spread(torch.cat((features.new_tensor([-across / height, -down / width]), cell)), seen)
            key = key * _mlp(decoder.keys, torch.cat((key, place), 1))
            values.append(value * _mlp(decoder.values, torch.cat((value, place), 1)))
            scores.append((query * key).sum(1, keepdim=True))
    weights = torch.cat(scores, 1).softmax(1)
    average = torch.stack([weights[:, i : i + 1] * value for i, value in enumerate(values)]).sum(0)
    modulation, code = _mlp(decoder.latent, average).split((decoder.render.modulations, config.code), 1)

    def inputs(code: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        return torch.cat((code, torch.stack((dy, dx)).expand(len(code), -1, -1, -1)), 1)

    return _rendered(decoder.render, modulation, code, inputs, size)


def _found(decoder: Any, features: Tensor) -> Tensor:
    """The result of attention across scales; for features larger than a crop, crop by crop, with one pixel around."""
    crop, (height, width) = decoder.config.crop, features.shape[-2:]
    if crop is None or height * width <= crop**2:
        return cross_scale_attention(decoder.across, features)
    rows, columns = max(1, height // crop), max(1, width // crop)
    lines = []
    for i in range(rows):
        top, bottom = i * crop, height if i == rows - 1 else (i + 1) * crop
        line = []
        for j in range(columns):
            left, right = j * crop, width if j == columns - 1 else (j + 1) * crop
            around = features[:, :, max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
            inside = cross_scale_attention(decoder.across, around)[:, :, min(top, 1) :, min(left, 1) :]
            line.append(inside[:, :, : bottom - top, : right - left])
        lines.append(torch.cat(line, 3))
    return torch.cat(lines, 2)


def _rendered(render: Any, modulation: Tensor, code: Tensor, inputs: Inputs, size: tuple[int, int]) -> Tensor:
    """The render network at all positions, averaged over the four corners."""
    around = plain_corners((code.shape[2], code.shape[3]), size)
    predictions = []
    for (pixel, dy, dx), weight in zip(around, plain_area_weights(around, code), strict=True):
        own, modulated = (each.flatten(2)[:, :, pixel.flatten()].unflatten(2, size) for each in (code, modulation))
        scales, shifts = (each.split(render.width, 1) for each in modulated.chunk(2, 1))
        hidden = inputs(own, dy.to(code.dtype), dx.to(code.dtype))
        for layer, scale, shift in zip((render.first, *render.hidden), scales, shifts, strict=True):
            hidden = F.relu(linear(hidden, layer.weight, layer.bias) * (1 + scale) + shift)
        predictions.append(linear(hidden, render.last.weight, render.last.bias) * weight)
    return torch.stack(predictions).sum(0)


def _mlp(layers: nn.Sequential, image: Tensor) -> Tensor:
    """Linear layers and ReLUs at every pixel."""
    for layer in layers:
        image = F.relu(image) if isinstance(layer, nn.ReLU) else linear(image, layer.weight, layer.bias)  # type: ignore[arg-type]  # Linear's
    return image


def _cell(decoder: Any, features: Tensor, size: tuple[int, int]) -> Tensor:
    """(2,): the cell in half feature pixels, clipped as the published evaluation does."""
    height, width = features.shape[-2:]
    largest = decoder.config.largest_scale
    clip = 1.0 if largest is None else max(size[0] / height / largest, 1.0)
    return features.new_tensor([2 / size[0] * height * clip, 2 / size[1] * width * clip])


def _spread(cell: Tensor, image: Tensor) -> Tensor:
    """The same numbers at every pixel of an image."""
    return cell[:, None, None].expand(len(image), -1, *image.shape[-2:])
