"""Implicit decoders and neighborhoods as they were published: point by point, at output resolution.

The decoders take a module's own weights, put back together as the published network has them, and
work on lists of points in float32, as the published code does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests import plain


def make_coord(size: Sequence[int]) -> Tensor:
    """(H·W, 2): (y, x) of the centers of a grid's pixels, in LIIF's arithmetic."""
    axes = [(-1 + 1 / n) + (2 / n) * torch.arange(n).float() for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def cell_of(size: tuple[int, int]) -> tuple[float, float]:
    """The extent of a pixel of a grid."""
    return 2 / size[0], 2 / size[1]


def liif(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """LIIF at (N, 2) points: features (B, C, H, W) → (B, N, channels)."""
    config = decoder.config
    seen = unfolded(features) if config.feature_unfolding else features
    size = torch.tensor(features.shape[-2:])
    linears = [layer for layer in decoder.layers if isinstance(layer, nn.Linear)]
    first = torch.cat((decoder.content.weight.flatten(1), decoder.position.weight), 1)
    predictions, areas = [], []
    for vy in (-1, 1) if config.local_ensemble else (0,):
        for vx in (-1, 1) if config.local_ensemble else (0,):
            shift = torch.tensor([v / int(n) + (1e-6 if v else 0) for v, n in zip((vy, vx), size, strict=True)])
            content, center = nearest_pixel(seen, points + shift)
            relative = (points - center) * size
            inputs = [content, relative]
            if config.cell_decoding:
                inputs.append((torch.tensor(cell) * size).expand_as(relative))
            hidden = torch.cat(inputs, -1) @ first.T + decoder.content.bias
            for linear in linears:
                hidden = hidden.clamp(min=0) @ linear.weight.T + linear.bias
            predictions.append(hidden)
            areas.append((relative[..., 0] * relative[..., 1]).abs() + 1e-9)
    total = torch.stack(areas).sum(0)
    if config.local_ensemble:  # the area of the diagonally opposite corner
        areas[0], areas[3] = areas[3], areas[0]
        areas[1], areas[2] = areas[2], areas[1]
    result = torch.zeros_like(predictions[0])
    for prediction, area in zip(predictions, areas, strict=True):
        result = result + prediction * (area / total)[..., None]
    return result


def meta_sr(decoder: Any, features: Tensor, points: Tensor, cell: tuple[float, float]) -> Tensor:
    """Meta-SR at (N, 2) points: features (B, C, H, W) → (B, N, channels)."""
    size = torch.tensor(features.shape[-2:])
    corner = points - torch.tensor(cell) / 2
    content, center = nearest_pixel(unfolded(features), corner + 1e-6)
    relative = (corner - (center - 1 / size)) * size / 2
    inverse_scale = torch.full_like(relative[..., :1], cell[0]) * size[0] / 2
    hidden = torch.cat((relative, inverse_scale), -1) @ decoder.hidden.weight.T + decoder.hidden.bias
    filters = hidden.clamp(min=0) @ decoder.filters.weight.T + decoder.filters.bias
    return torch.einsum("bnf,bnfc->bnc", content, filters.unflatten(-1, (content.shape[-1], -1)))


def unfolded(features: Tensor) -> Tensor:
    """(B, C, H, W) → (B, 9C, H, W): each pixel with its neighbors, zeros outside."""
    return F.unfold(features, 3, padding=1).unflatten(2, features.shape[-2:])


def nearest_pixel(content: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """What nearest ``grid_sample`` finds at the points, clamped inside: (B, N, C), and the (B, N, 2) centers."""
    height, width = content.shape[-2:]
    centers = make_coord((height, width)).T.unflatten(1, (height, width))
    grid = points.clamp(-1 + 1e-6, 1 - 1e-6).flip(-1).expand(len(content), 1, -1, -1)
    both = torch.cat((content, centers.expand(len(content), -1, -1, -1)), 1)
    sampled = F.grid_sample(both, grid, mode="nearest", align_corners=False)[:, :, 0].transpose(1, 2)
    return sampled[..., :-2], sampled[..., -2:]


@torch.no_grad()
def gathered(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    size: int | None,
    border: str = "clip",
    similarity: str = "embedded-gaussian",
    best: int | None = None,
) -> Tensor:
    """Each pixel's weighted average of its neighborhood, one neighbor after the other: (B, C, H, W).

    A neighbor outside the image counts with zero features. The weights are exp(q·k) over their sum, for
    both Gaussians, or q·k over their number; of the ``best`` neighbors by q·k, if that is given.
    """
    height, width = values.shape[-2:]
    result = torch.empty_like(values)
    for image in range(len(values)):
        for y in range(height):
            for x in range(width):
                found = []
                for row in plain.window(y, height, size, border):
                    for column in plain.window(x, width, size, border):
                        inside = 0 <= row < height and 0 <= column < width
                        key = keys[image, :, row, column] if inside else torch.zeros_like(keys[image, :, 0, 0])
                        value = values[image, :, row, column] if inside else torch.zeros_like(values[image, :, 0, 0])
                        found.append((float(queries[image, :, y, x] @ key), value))
                found.sort(key=lambda pair: -pair[0])
                scores = np.array([score for score, _ in found[:best]])
                exponentials = np.exp(scores - scores.max())
                soft = exponentials / exponentials.sum()
                weights = scores / len(scores) if similarity == "dot-product" else soft
                taken = torch.stack([value for _, value in found[:best]])
                result[image, :, y, x] = torch.from_numpy(weights) @ taken
    return result
