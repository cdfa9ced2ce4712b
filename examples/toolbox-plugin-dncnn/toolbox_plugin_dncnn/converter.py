"""DnCNN's published weights: convolutions ``model.0``, ``model.2`` and so on, ReLU between them.

The published network predicts the noise and subtracts it from its input. Here the residual is added, so the last
convolution changes its sign. Toolbox's head ``residual-conv`` begins with batch norm and ReLU. The statistics below
leave features unchanged, and so does a second ReLU after the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource

EPSILON = 1e-3  # of the batch norm in residual-conv


class DnCNNHints(Config):
    """No hints: the tensors leave nothing open."""


def plan(checkpoint: Checkpoint, hints: DnCNNHints) -> Conversion:
    """Plan the network of these weights, and the source of each of its tensors."""
    count = sum(name.endswith(".weight") for name in checkpoint.tensors)
    width, channels = checkpoint.shape("model.0.weight")[:2]
    last = f"model.{2 * (count - 1)}"
    sources: dict[str, str | TensorSource] = {}
    for kind in ("weight", "bias"):
        shape = tuple(checkpoint.tensors[f"{last}.{kind}"].shape)
        sources[f"decoder.conv.{kind}"] = TensorSource((f"{last}.{kind}",), (shape,), torch.neg)
        for number in range(count - 1):
            sources[f"encoder.convolutions.{number}.{kind}"] = f"model.{2 * number}.{kind}"
    unchanged = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0 - EPSILON}
    for name, value in unchanged.items():
        sources[f"decoder.norm.{name}"] = TensorSource((), (), _constant(width, value))
    spec = {
        "summary": "converted from DnCNN's published weights",
        "channels": channels,
        "global_skip": "bicubic",
        "encoder": {"name": "dncnn", "channels": width, "convolutions": count - 1},
        "decoder": "residual-conv",
    }
    return Conversion(spec, sources)


def _constant(width: int, value: float) -> Callable[[], Tensor]:
    return lambda: torch.full((width,), value)


def recognize(checkpoint: Checkpoint) -> bool:
    """Whether the tensors are exactly those of convolutions with even numbers."""
    numbers = {match[1] for name in checkpoint.tensors if (match := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name))}
    expected = {f"model.{2 * number}.{kind}" for number in range(len(numbers)) for kind in ("weight", "bias")}
    return len(numbers) > 1 and set(checkpoint.tensors) == expected


DNCNN_FORMAT = ConverterInfo(
    name="dncnn",
    recognize=recognize,
    plan=plan,
    hints=DnCNNHints,
    summary="DnCNN's published weights, batch norm merged into the convolutions",
    url="https://github.com/cszn/KAIR",
)
