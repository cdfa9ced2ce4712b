"""SPAN's published checkpoints, whose convolutions are stored in their parts for training."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import (
    Checkpoint,
    Config,
    Conversion,
    ConverterInfo,
    ExpandedConv2d,
    Form,
    TensorSource,
    WeightsError,
)
from toolbox_span.span import GAIN

MEAN = (0.4488, 0.4371, 0.404)  # of DIV2K's pictures
PARTS = {"expand": "conv.0", "conv": "conv.1", "reduce": "conv.2", "skip": "sk"}


class SPANHints(Config):
    """Settings that a SPAN state dict leaves open."""

    form: Form = Field(default="folded", description="training keeps the parts of each convolution, to train on")
    img_range: float = Field(default=255.0, gt=0, description="the network sees (image − mean) · img_range")


def _plan(checkpoint: Checkpoint, hints: SPANHints) -> Conversion:
    width, channels = checkpoint.shape("conv_1.sk.weight")[:2]
    blocks = 0
    while f"block_{blocks + 1}.c1_r.sk.weight" in checkpoint.tensors:
        blocks += 1
    colors = checkpoint.shape("upsampler.0.weight")[0]
    scale = round((colors / channels) ** 0.5)
    if scale not in (2, 3, 4, 8) or scale**2 * channels != colors:
        raise WeightsError(f"upsampler.0.weight gives {colors} channels, expected {channels} times 4, 9, 16 or 64")
    mean = MEAN if channels == len(MEAN) else (0.0,) * channels
    spec: dict[str, Any] = {
        "summary": "converted from a SPAN checkpoint",
        "channels": channels,
        "normalization": {"mean": mean, "std": 1 / hints.img_range},
        "encoder": {"name": "span", "channels": width, "blocks": blocks, "form": hints.form},
        "decoder": {"name": "pixel-shuffle-direct", "scale": scale},
    }
    convs = {"encoder.head": "conv_1", "encoder.tail": "conv_2"}
    for block in range(blocks):
        convs |= {f"encoder.blocks.{block}.convs.{i}": f"block_{block + 1}.c{i + 1}_r" for i in range(3)}
    sources: dict[str, str | TensorSource] = {}
    for ours, theirs in convs.items():
        inputs = channels if theirs == "conv_1" else width
        sources |= _in_parts(ours, theirs) if hints.form == "training" else _folded(ours, theirs, inputs, width)
    sources |= {f"encoder.fusion.{kind}": f"conv_cat.{kind}" for kind in ("weight", "bias")}
    # The published network gives the image itself, ours (image − mean) / std.
    output = partial(_in_range, scale=scale, mean=mean, white=hints.img_range)
    sources["decoder.conv.weight"] = TensorSource(
        ("upsampler.0.weight",), ((colors, width, 3, 3),), lambda weight: weight * hints.img_range
    )
    sources["decoder.conv.bias"] = TensorSource(("upsampler.0.bias",), ((colors,),), output)
    stored = {f"{theirs}.eval_conv.{kind}" for theirs in convs.values() for kind in ("weight", "bias")}
    return Conversion(spec, sources, frozenset(stored))


def _in_parts(ours: str, theirs: str) -> dict[str, str | TensorSource]:
    return {
        f"{ours}.{part}.{kind}": f"{theirs}.{name}.{kind}"
        for part, name in PARTS.items()
        for kind in ("weight", "bias")
    }


def _folded(ours: str, theirs: str, inputs: int, outputs: int) -> dict[str, str | TensorSource]:
    """The one convolution that does what all parts do. The one in the file may be of an earlier step of training."""
    with torch.device("meta"):
        parts = ExpandedConv2d(inputs, outputs, GAIN)
    expected = {key: tuple(tensor.shape) for key, tensor in parts.state_dict().items()}

    def join(*tensors: Tensor, kind: str) -> Tensor:
        parts.load_state_dict(dict(zip(expected, tensors, strict=True)), assign=True)
        return parts.folded_state()[kind]

    names = tuple(f"{theirs}.{PARTS[part]}.{kind}" for part, kind in (key.split(".") for key in expected))
    shapes = tuple(expected.values())
    return {f"{ours}.{kind}": TensorSource(names, shapes, partial(join, kind=kind)) for kind in ("weight", "bias")}


def _in_range(bias: Tensor, scale: int, mean: tuple[float, ...], white: float) -> Tensor:
    subtracted = bias.new_tensor(mean).repeat_interleave(scale**2)
    return (bias - subtracted) * white


SPAN_FORMAT = ConverterInfo(
    name="span",
    recognize=lambda checkpoint: {"conv_1.sk.weight", "block_1.c1_r.sk.weight"} <= checkpoint.tensors.keys(),
    plan=_plan,
    hints=SPANHints,
    summary="SPAN's state dicts, whose convolutions are stored in parts",
    url="https://github.com/hongyuanyu/SPAN",
    license="Apache-2.0",
)
