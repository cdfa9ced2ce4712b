"""Decoders that see a position from four feature pixels, as they were published: point by point, in float32.

They take a module's own weights and work on (N, 2) lists of points, as the published code does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tests.plain_decoders import nearest_pixel

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
