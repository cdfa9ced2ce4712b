"""Measure a network: random weights that hide nothing, and how far an output pixel sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from toolbox.errors import ConformanceError

M = TypeVar("M", bound=nn.Module)

ROUNDING = 1e-11  # a smaller change in float64 is rounding
AT_ONCE = 64  # images of a batch, since most of the time of a small network goes into calls


def drawn(module: M) -> M:
    """The module in float64 and eval mode, with random parameters and running statistics that are never zero."""
    module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn_like(parameter)
            inputs = math.prod(parameter.shape[1:])
            parameter.copy_(noise / math.sqrt(inputs) if parameter.ndim > 1 else 0.3 + 0.2 * noise)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
                if norm.affine:
                    norm.weight.add_(0.7)
                norm.running_mean.normal_(0, 0.2)
                norm.running_var.uniform_(0.5, 1.5)
    return module


def farthest(network: Callable[[Tensor], Tensor], image: Tensor) -> int:
    """The largest distance, in input pixels, at which an input pixel changes an output pixel; −1 if none does.

    It changes one part of the picture after the other: from each row on, up to each row, and the same
    with columns. An output pixel that changes sees at least as far as the part begins. Distances count
    from the input pixel that contains the center of the output pixel.

    Args:
        network: (B, C, H, W) → (B, C', H', W'), image by image.
        image: (1, C, H, W).
    """

    def transposed(moved: Tensor) -> Tensor:
        return network(moved.mT).mT

    with torch.no_grad():
        return max(_farthest_row(network, image), _farthest_row(transposed, image.mT))


def _farthest_row(network: Callable[[Tensor], Tensor], image: Tensor) -> int:
    still, other = network(image), torch.rand_like(image)
    rows, output_rows = image.shape[2], still.shape[2]
    starts = torch.arange(rows)
    seen_from = torch.tensor([math.floor((output + 0.5) * rows / output_rows) for output in range(output_rows)])
    after = (starts >= starts.view(-1, 1)).view(rows, 1, rows, 1)
    changed = torch.cat([torch.where(part, other, image) for part in (after, ~after)])
    outputs = torch.cat([network(images) for images in changed.split(AT_ONCE)])
    moved = ((outputs - still).abs() > ROUNDING).any(1).any(2)
    far = -1
    for start, from_it, before_it in zip(starts.tolist(), moved[:rows], moved[rows:], strict=True):
        far = max([far, *(start - seen_from[from_it]).tolist(), *(seen_from[before_it] - start + 1).tolist()])
    return far


def compare_tensors(got: Tensor, expected: Tensor, one: str, other: str, tolerance: float = 1e-9) -> None:
    """Raise a ConformanceError unless both tensors have one shape and nearly the same values."""
    if got.shape != expected.shape:
        raise ConformanceError(f"{one} gave shape {tuple(got.shape)}, {other} {tuple(expected.shape)}")
    difference = (got - expected).abs().max().item() if got.numel() else 0.0
    if not difference <= tolerance * max(1.0, expected.abs().max().item()):
        raise ConformanceError(f"{one} and {other} differ by {difference:.2g}, expected at most {tolerance:g}")
