"""SRNO's published checkpoints and bare state dicts."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import HALF, Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError, encoder_plan

OFFSETS, CELL = 8, 2  # channels of a position before and after its features


class SRNOHints(Config):
    """Settings that a state dict leaves open."""

    largest_scale: float | None = Field(default=4, gt=0)  # null: the cell is never clipped


def _plan(checkpoint: Checkpoint, hints: SRNOHints) -> Conversion:
    encoder, names, ignored = encoder_plan(checkpoint, "encoder.")
    width, seen = checkpoint.shape("conv00.weight")[:2]
    heads, _, depth = checkpoint.shape("conv0.kln.weight", 3)
    if heads * depth != width:
        raise WeightsError(f"conv0.kln.weight is of {heads} heads of {depth} channels, expected {width} in all")
    hidden, channels = checkpoint.shape("fc1.weight")[0], checkpoint.shape("fc2.weight")[0]
    spec: dict[str, Any] = {
        "summary": "converted from an SRNO checkpoint",
        "channels": channels,
        "normalization": HALF,
        "global_skip": "bilinear",
        "encoder": encoder,
        "decoder": {
            "name": "neural-operator",
            "width": width,
            "heads": heads,
            "hidden": hidden,
            "largest_scale": hints.largest_scale,
        },
    }
    content = ("conv00.weight",), ((width, seen, 1, 1),)
    sources: dict[str, str | TensorSource] = {
        **names,
        "decoder.content.weight": TensorSource(*content, lambda weight: weight[:, OFFSETS:-CELL, 0, 0]),
        "decoder.content.bias": "conv00.bias",
        "decoder.position.weight": TensorSource(*content, _position),
        **_linear("decoder.colors.0", "fc1", width, hidden),
        **_linear("decoder.colors.2", "fc2", hidden, channels),
    }
    for ours, theirs in (("decoder.first", "conv0"), ("decoder.second", "conv1")):
        for number, part in enumerate(("query", "key", "value")):
            take = partial(_head_major, heads=heads, number=number)
            for kind, shape in (("weight", (3 * width, width, 1, 1)), ("bias", (3 * width,))):
                sources[f"{ours}.{part}.{kind}"] = TensorSource((f"{theirs}.qkv_proj.{kind}",), (shape,), take)
        sources |= _linear(f"{ours}.inner", f"{theirs}.o_proj1", width, width)
        sources |= _linear(f"{ours}.outer", f"{theirs}.o_proj2", width, width)
        for own, kind in (("scale", "weight"), ("shift", "bias")):
            norms = f"{theirs}.kln.{kind}", f"{theirs}.vln.{kind}"
            sources[f"{ours}.{own}"] = TensorSource(norms, ((heads, 1, depth),) * 2, _both)
    return Conversion(spec, sources, ignored)


def _linear(ours: str, theirs: str, before: int, after: int) -> dict[str, str | TensorSource]:
    weight = TensorSource((f"{theirs}.weight",), ((after, before, 1, 1),), lambda kernel: kernel[:, :, 0, 0])
    return {f"{ours}.weight": weight, f"{ours}.bias": f"{theirs}.bias"}


def _position(weight: Tensor) -> Tensor:
    return torch.cat((weight[:, :OFFSETS, 0, 0], weight[:, -CELL:, 0, 0]), 1)


def _head_major(joined: Tensor, heads: int, number: int) -> Tensor:
    """Separate query, key and value, which follow one another for each head in the published code."""
    own = joined.unflatten(0, (heads, 3, -1))[:, number].flatten(0, 1)
    return own[..., 0, 0] if own.ndim == 4 else own


def _both(keys: Tensor, values: Tensor) -> Tensor:
    return torch.stack((keys, values))[:, :, 0]


SRNO_FORMAT = ConverterInfo(
    name="srno",
    recognize=lambda checkpoint: {"conv00.weight", "conv0.qkv_proj.weight"} <= checkpoint.tensors.keys(),
    plan=_plan,
    hints=SRNOHints,
    summary="SRNO's .pth files and state dicts, on EDSR or RDN",
    url="https://github.com/2y7c3/Super-Resolution-Neural-Operator",
    license="MIT",
)
