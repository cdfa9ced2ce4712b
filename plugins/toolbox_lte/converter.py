"""Checkpoints of LTE and of LTE+, which differ in the names of their layers and the order of their frequencies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import HALF, Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError, encoder_plan


class LTEHints(Config):
    """Settings that a state dict leaves open."""

    largest_scale: float | None = Field(default=4, gt=0)  # null: the cell is never clipped


def _plan(checkpoint: Checkpoint, hints: LTEHints) -> Conversion:
    encoder, names, ignored = encoder_plan(checkpoint, "encoder.")
    plus = "layers.0.weight" in checkpoint.tensors  # LTE+ writes its layers as 1×1 convolutions
    layers, axes = ("layers", 4) if plus else ("imnet.layers", 2)
    waves, features, *_ = checkpoint.shape("coef.weight")
    hidden: list[int] = []
    while f"{layers}.{2 * len(hidden) + 2}.weight" in checkpoint.tensors:
        hidden.append(checkpoint.shape(f"{layers}.{2 * len(hidden)}.weight", axes)[0])
    if not hidden:
        raise WeightsError(f"missing '{layers}.2.weight', which says what the rest of the network is")
    last = f"{layers}.{2 * len(hidden)}"
    widths = [waves, *hidden, checkpoint.shape(f"{last}.weight", axes)[0]]
    spec: dict[str, Any] = {
        "summary": f"converted from an {'LTE+' if plus else 'LTE'} checkpoint",
        "channels": widths[-1],
        "normalization": HALF,
        "global_skip": "bilinear",
        "encoder": encoder,
        "decoder": {
            "name": "local-texture",
            "frequencies": waves // 2,
            "hidden": hidden,
            "largest_scale": hints.largest_scale,
        },
    }
    sources: dict[str, str | TensorSource] = {**names, "decoder.phase.weight": "phase.weight"}
    for kind, shape in (("weight", (waves, features, 3, 3)), ("bias", (waves,))):
        sources[f"decoder.amplitude.{kind}"] = f"coef.{kind}"
        name = f"freq.{kind}"
        sources[f"decoder.frequency.{kind}"] = name if plus else TensorSource((name,), (shape,), _vertical_first)
    for i, (before, after) in enumerate(pairwise(widths)):
        theirs, ours = f"{layers}.{2 * i}", f"decoder.layers.{2 * i}"
        kernel = (1, 1) if plus else ()
        sources[f"{ours}.weight"] = TensorSource((f"{theirs}.weight",), ((after, before, *kernel),), _as_linear)
        sources[f"{ours}.bias"] = f"{theirs}.bias"
    return Conversion(spec, sources, ignored)


def _vertical_first(interleaved: Tensor) -> Tensor:
    """Channels (2k, 2k + 1) are the vertical and the horizontal frequency of wave k; vertical ones go first."""
    return torch.cat((interleaved[0::2], interleaved[1::2]))


def _as_linear(weight: Tensor) -> Tensor:
    return weight.flatten(1)


def _recognize(checkpoint: Checkpoint) -> bool:
    waves = {"coef.weight", "freq.weight", "phase.weight"}
    return waves <= checkpoint.tensors.keys() and "imphase.weight" not in checkpoint.tensors


LTE_FORMAT = ConverterInfo(
    name="lte",
    recognize=_recognize,
    plan=_plan,
    hints=LTEHints,
    summary="LTE's and LTE+'s .pth files and state dicts, on EDSR or RDN",
    url="https://github.com/jaewon-lee-b/lte",
    license="BSD-3-Clause",
)
