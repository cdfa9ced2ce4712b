"""SwinIR's published checkpoints: .pth files and bare state dicts, for every task and upsampler."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import product
from typing import Any, Literal

from pydantic import Field

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, WeightsError

MEAN = (0.4488, 0.4371, 0.404)  # of DIV2K's color pictures, which the published code subtracts; of gray ones nothing
BIAS = "attn.relative_position_bias_table"
FIRST_BLOCK = "layers.0.residual_group.blocks.0"
BUFFER = re.compile(r"layers\.\d+\.residual_group\.blocks\.\d+\.(attn\.relative_position_index|attn_mask)")
BLOCK: Mapping[str, str] = {
    "attention_norm": "norm1",
    "qkv": "attn.qkv",
    "projection": "attn.proj",
    "mlp_norm": "norm2",
    "widen": "mlp.fc1",
    "narrow": "mlp.fc2",
}
JPEG_WINDOW = 7  # of the networks for JPEG, the only published ones for pictures of 0 to 255

Layers = dict[str, str]  # our names of layers, and the published ones


class SwinIRHints(Config):
    """Settings that a SwinIR state dict leaves open."""

    white: Literal[1, 255] | None = Field(
        default=None, description="img_range in the published code; by default 255 for windows of 7 pixels, else 1"
    )


def _plan(checkpoint: Checkpoint, hints: SwinIRHints) -> Conversion:
    encoder, layers, biases = _encoder(checkpoint)
    channels = checkpoint.shape("conv_first.weight")[1]
    spec, head = _head(checkpoint, channels)
    white = hints.white or (255 if encoder["window"] == JPEG_WINDOW else 1)
    spec = {
        "summary": "converted from a SwinIR checkpoint",
        "channels": channels,
        "normalization": {"mean": MEAN if channels == len(MEAN) else 0.0, "std": 1 / white},
        "encoder": encoder,
        **spec,
    }
    pairs = {f"encoder.{ours}": theirs for ours, theirs in layers.items()}
    pairs |= {f"decoder.{ours}": theirs for ours, theirs in head.items()}
    sources = {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in pairs.items() for kind in ("weight", "bias")}
    sources |= {f"encoder.{ours}": theirs for ours, theirs in biases.items()}
    return Conversion(spec, sources, frozenset(filter(BUFFER.fullmatch, checkpoint.tensors)))


def _encoder(checkpoint: Checkpoint) -> tuple[dict[str, Any], Layers, Layers]:
    """The spec of the encoder, its layers, and its tables of biases."""
    depths, heads = [], []
    layers = {"shallow": "conv_first", "first_norm": "patch_embed.norm", "last_norm": "norm"}
    biases = {}
    groups = checkpoint.count(f"layers.{{}}.residual_group.blocks.0.{BIAS}")
    rows = checkpoint.shape(f"{FIRST_BLOCK}.{BIAS}", 2)[0]
    for group in range(groups):
        theirs = f"layers.{group}.residual_group.blocks"
        depths.append(checkpoint.count(f"{theirs}.{{}}.{BIAS}"))
        heads.append(checkpoint.shape(f"{theirs}.0.{BIAS}", 2)[1])
        for block in range(depths[-1]):
            own = f"groups.{group}.blocks.{block}"
            biases[f"{own}.bias"] = f"{theirs}.{block}.{BIAS}"
            layers |= {f"{own}.{name}": f"{theirs}.{block}.{published}" for name, published in BLOCK.items()}
    window = (math.isqrt(rows) + 1) // 2
    if (2 * window - 1) ** 2 != rows:
        raise WeightsError(f"{FIRST_BLOCK}.{BIAS} has {rows} rows, expected the square of an odd number")
    three = "conv_after_body.0.weight" in checkpoint.tensors
    places = {f"groups.{group}.convolutions": f"layers.{group}.conv" for group in range(groups)}
    places["convolutions"] = "conv_after_body"
    numbers = (".0", ".2", ".4") if three else ("",)
    layers |= {f"{ours}{number}": f"{places[ours]}{number}" for ours, number in product(places, numbers)}
    encoder = {
        "name": "swinir",
        "channels": checkpoint.shape("conv_first.weight")[0],
        "depths": depths,
        "heads": heads,
        "hidden": checkpoint.shape(f"{FIRST_BLOCK}.mlp.fc1.weight", 2)[0],
        "window": window,
        "connection": "3conv" if three else "1conv",
    }
    return encoder, layers, biases


def _head(checkpoint: Checkpoint, channels: int) -> tuple[dict[str, Any], Layers]:
    """The rest of the spec, told by the names of the layers behind the features, and the decoder's layers."""
    if "conv_hr.weight" in checkpoint.tensors:
        scale = 4 if "conv_up2.weight" in checkpoint.tensors else 2
        width = checkpoint.shape("conv_before_upsample.0.weight")[0]
        names = {"first": "conv_before_upsample.0", "fine": "conv_hr", "last": "conv_last"}
        names |= {f"enlarged.{i}": f"conv_up{i + 1}" for i in range(scale // 2)}
        return {"decoder": {"name": "nearest-conv", "scale": scale, "channels": width}}, names
    if "conv_before_upsample.0.weight" in checkpoint.tensors:
        return _classical(checkpoint)
    if "upsample.0.weight" in checkpoint.tensors:
        scale = math.isqrt(checkpoint.shape("upsample.0.weight")[0] // channels)
        return {"decoder": {"name": "pixel-shuffle-direct", "scale": scale}}, {"conv": "upsample.0"}
    return {"decoder": {"name": "conv"}, "global_skip": "bicubic"}, {"conv": "conv_last"}


def _classical(checkpoint: Checkpoint) -> tuple[dict[str, Any], Layers]:
    first = checkpoint.shape("conv_before_upsample.0.weight")[0]
    width, before = checkpoint.shape("upsample.0.weight")[:2]
    stages = [name for name in ("upsample.0", "upsample.2", "upsample.4") if f"{name}.weight" in checkpoint.tensors]
    scale = math.isqrt(width // before) ** len(stages)
    names = {"first.0": "conv_before_upsample.0", "conv": "conv_last"}
    names |= {f"upscale.{2 * i}": stage for i, stage in enumerate(stages)}
    return {"decoder": {"name": "pixel-shuffle", "scale": scale, "channels": before, "first": first}}, names


def _recognize(checkpoint: Checkpoint) -> bool:
    return {f"{FIRST_BLOCK}.{BIAS}", f"{FIRST_BLOCK}.attn.qkv.weight"} <= checkpoint.tensors.keys()


SWINIR_FORMAT = ConverterInfo(
    name="swinir",
    recognize=_recognize,
    plan=_plan,
    hints=SwinIRHints,
    summary="SwinIR's .pth files and state dicts, for super-resolution, denoising and JPEG",
    url="https://github.com/JingyunLiang/SwinIR",
    license="Apache-2.0",
)
