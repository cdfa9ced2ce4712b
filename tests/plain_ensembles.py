"""Decoders that see a position from four feature pixels, as they were published: point by point, in float32.

They take a module's own weights and work on (N, 2) lists of points, as the published code does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tests.plain_decoders import nearest_pixel, unfolded
from toolbox.nonlocal_blocks.plain import cross_scale_attention

Predict = Callable[[list[Tensor], Tensor], Tensor]  # (each map at the corners' pixels, offsets (y, x)) → (B, N, ·)


def ensemble(maps: Sequence[Tensor], points: Tensor, predict: Predict) -> Tensor:
    """The predictions from the four corners, each weighted by the area of the diagonally opposite one."""
    size = torch.tensor(maps[0].shape[-2:])
    predictions, areas = [], []
    for vy in (-1, 1):
        for vx in (-1, 1):
            shift = torch.tensor([v / int(n) + 1e-6 for v, n in zip((vy, vx), size, strict=True)])
            content, center = nearest_pixel(torch.cat(list(maps), 1), points + shift)
            relative = (points - center) * size
            predictions.append(predict(list(content.split([each.shape[1] for each in maps], -1)), relative))
            areas.append((relative[..., 0] * relative[..., 1]).abs() + 1e-9)
    total = torch.stack(areas).sum(0)
    weighted = [p * (areas[3 - i] / total)[..., None] for i, p in enumerate(predictions)]
    return torch.stack(weighted).sum(0)


def mlp(layers: nn.Sequential, inputs: Tensor) -> Tensor:
    """Linear layers with ReLU between them."""
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    hidden = inputs @ linears[0].weight.T + linears[0].bias
    for linear in linears[1:]:
        hidden = hidden.clamp(min=0) @ linear.weight.T + linear.bias
    return hidden


def lte(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """LTE at (N, 2) points: features (B, C, H, W) → (B, N, channels); the cell is not clipped."""
    size = torch.tensor(features.shape[-2:])

    def predict(content: list[Tensor], relative: Tensor) -> Tensor:
        amplitude, frequency = content
        count = frequency.shape[-1] // 2
        turns = sum(frequency[..., i * count : (i + 1) * count] * relative[..., i : i + 1] for i in range(2))
        turns = turns + (torch.tensor(cell) * size) @ decoder.phase.weight.T
        waves = torch.cat((torch.cos(math.pi * turns), torch.sin(math.pi * turns)), -1)
        return mlp(decoder.layers, amplitude * waves)

    return ensemble((decoder.amplitude(features), decoder.frequency(features)), points, predict)


def lm_liif(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """LM-LIIF at (N, 2) points: features (B, C, H, W) → (B, N, channels); the cell is not clipped."""
    input_cell = torch.tensor(cell) * torch.tensor(features.shape[-2:])
    seen = unfolded(features).movedim(1, -1)
    first = seen @ decoder.content.weight.flatten(1).T + decoder.content.bias + input_cell @ decoder.cell.weight.T
    told = mlp(decoder.latent[1:], first.clamp(min=0)).movedim(-1, 1)
    count = decoder.render.modulations
    code = features if decoder.config.code is None else told[:, count:]

    def predict(content: list[Tensor], relative: Tensor) -> Tensor:
        modulation, own = content
        inputs = torch.cat((own, relative, input_cell.expand(*relative.shape[:-1], 2)), -1)
        return rendered(decoder.render, modulation, inputs)

    return ensemble((told[:, :count], code), points, predict)


def lm_lte(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """LM-LTE at (N, 2) points: features (B, C, H, W) → (B, N, channels); the cell is not clipped."""
    input_cell = torch.tensor(cell) * torch.tensor(features.shape[-2:])
    vertical, horizontal = decoder.frequency(features).movedim(1, -1).chunk(2, -1)
    turns = vertical + horizontal + input_cell @ decoder.phase.weight.T
    waves = torch.cat((torch.cos(math.pi * turns), torch.sin(math.pi * turns)), -1)
    told = mlp(decoder.latent, decoder.amplitude(features).movedim(1, -1) * waves).movedim(-1, 1)
    count = decoder.render.modulations

    def predict(content: list[Tensor], relative: Tensor) -> Tensor:
        modulation, code = content
        amplitude, vertical, horizontal = code.split([code.shape[-1] // 2, *[code.shape[-1] // 4] * 2], -1)
        turns = vertical * relative[..., :1] + horizontal * relative[..., 1:] + input_cell @ decoder.code_phase.weight.T
        waves = torch.cat((torch.cos(math.pi * turns), torch.sin(math.pi * turns)), -1)
        return rendered(decoder.render, modulation, amplitude * waves)

    return ensemble((told[:, :count], told[:, count:]), points, predict)


def lm_ciaosr(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """LM-CiaoSR at (N, 2) points, feature pixel by feature pixel: features (B, C, H, W) → (B, N, channels)."""
    batch, channels, height, width = features.shape
    input_cell = torch.tensor(cell) * torch.tensor([height, width])
    found, seen = cross_scale_attention(decoder.across, features), unfolded(features)
    count = decoder.render.modulations
    told = features.new_empty(batch, count + decoder.config.code, height, width)
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                own = seen[image, :, row, column]
                blocks = [own[i * channels : (i + 1) * channels] for i in range(9)]
                query = mlp(decoder.queries, own)
                scores, values = [], []
                for vx in (-1, 1):
                    for vy in (-1, 1):
                        corner = 3 * (vy > 0) + (vx > 0)  # of four blocks out of three by three
                        key = torch.cat([blocks[corner + i] for i in (0, 1, 3, 4)])
                        value = torch.cat((key, found[image, :, row, column]))
                        place = torch.cat((torch.tensor([-vx / height, -vy / width]), input_cell))
                        key = key * mlp(decoder.keys, torch.cat((key, place)))
                        values.append(value * mlp(decoder.values, torch.cat((value, place))))
                        scores.append(query @ key)
                weights = torch.stack(scores).softmax(0)
                told[image, :, row, column] = mlp(decoder.latent, weights @ torch.stack(values))

    def predict(content: list[Tensor], relative: Tensor) -> Tensor:
        modulation, code = content
        return rendered(decoder.render, modulation, torch.cat((code, relative), -1))

    return ensemble((told[:, :count], told[:, count:]), points, predict)


def rendered(render: Any, modulation: Tensor, inputs: Tensor) -> Tensor:
    """LMF's render network: y → relu((1 + scale) · (W y + b) + shift), layer by layer."""
    depth, width = len(render.hidden) + 1, render.width
    hidden = inputs
    for i, layer in enumerate((render.first, *render.hidden)):
        scale = modulation[..., i * width : (i + 1) * width]
        shift = modulation[..., (depth + i) * width : (depth + i + 1) * width]
        hidden = ((1 + scale) * (hidden @ layer.weight.T + layer.bias) + shift).clamp(min=0)
    return hidden @ render.last.weight.T + render.last.bias
