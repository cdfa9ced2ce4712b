"""EDSR's state dicts, from EDSR-PyTorch and its copies in the LIIF and DIINN repositories."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from toolbox.config import Config
from toolbox.conversion import Checkpoint, Conversion
from toolbox.encoders.edsr import EDSRConfig
from toolbox.errors import WeightsError
from toolbox.records import ConverterInfo

MEAN_SHIFT = frozenset(f"{layer}.{kind}" for layer in ("sub_mean", "add_mean") for kind in ("weight", "bias"))
DIV2K_MEAN = (0.4488, 0.4371, 0.404)


class EDSRHints(Config):
    """Settings that an EDSR state dict leaves open."""

    mean_shift: bool | None = None  # None: as in the file


def encoder_plan(checkpoint: Checkpoint, prefix: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """The spec of an EDSR encoder and the published names of its tensors, for a prefix of those names."""
    channels = checkpoint.shape(f"{prefix}head.0.weight")[0]
    blocks = checkpoint.count(prefix + "body.{}.body.0.weight")
    # The residual scale leaves no trace in the tensors: 0.1 for the published 256 channels, 1 for the baseline.
    full = EDSRConfig.presets["full"]
    scale = full["residual_scale"] if channels == full["channels"] else 1.0
    names = {}
    for kind in ("weight", "bias"):
        names[f"encoder.head.{kind}"] = f"{prefix}head.0.{kind}"
        names[f"encoder.tail.{kind}"] = f"{prefix}body.{blocks}.{kind}"
        for block in range(blocks):
            for layer in (0, 2):
                names[f"encoder.blocks.{block}.body.{layer}.{kind}"] = f"{prefix}body.{block}.body.{layer}.{kind}"
    return {"name": "edsr", "channels": channels, "blocks": blocks, "residual_scale": scale}, names


def _plan(checkpoint: Checkpoint, hints: EDSRHints) -> Conversion:
    encoder, sources = encoder_plan(checkpoint)
    channels = checkpoint.shape("head.0.weight")[1]
    spec: dict[str, Any] = {"summary": "converted from an EDSR checkpoint", "channels": channels, "encoder": encoder}
    if "tail.1.weight" in checkpoint.tensors:
        spec["decoder"], more = upsampler_plan(checkpoint)
        sources |= more
    else:
        spec |= {"decoder": "features", "output_channels": encoder["channels"]}
    in_file = "sub_mean.weight" in checkpoint.tensors
    if hints.mean_shift if hints.mean_shift is not None else in_file:
        spec["normalization"] = mean_shift(checkpoint) if in_file else {"mean": DIV2K_MEAN[:channels]}
    return Conversion(spec, sources, MEAN_SHIFT)


def upsampler_plan(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, str]]:
    """The spec of the pixel-shuffle decoder that EDSR has in ``tail``, and the published names of its tensors."""
    stages = checkpoint.count("tail.0.{}.weight") + ("tail.0.2.weight" in checkpoint.tensors)
    width, features = checkpoint.shape("tail.0.0.weight")[:2]
    scale = 4 if stages == 2 else round((width / features) ** 0.5)
    sources = {}
    for kind in ("weight", "bias"):
        for stage in range(stages):
            sources[f"decoder.upscale.{2 * stage}.{kind}"] = f"tail.0.{2 * stage}.{kind}"
        sources[f"decoder.conv.{kind}"] = f"tail.1.{kind}"
    return {"name": "pixel-shuffle", "scale": scale, "channels": checkpoint.shape("tail.1.weight")[1]}, sources


def mean_shift(checkpoint: Checkpoint) -> dict[str, list[float]]:
    """The mean shift as a normalization. The size of the bias shows whether the file is for values of 0 to 255.

    The published layer computes x / s − m / s on x in [0, 1] or [0, 255].

    Raises:
        WeightsError: the layer mixes channels.
    """
    for kind in ("weight", "bias"):
        if f"sub_mean.{kind}" not in checkpoint.tensors:
            raise WeightsError(f"missing 'sub_mean.{kind}', which determines the normalization")
    weight, bias = (checkpoint.tensors[f"sub_mean.{kind}"].double() for kind in ("weight", "bias"))
    diagonal = weight.flatten(1).diagonal() if weight.ndim == 4 else Tensor()
    if bias.ndim != 1 or len(diagonal) != len(bias) or not torch.equal(weight.flatten(1), torch.diag(diagonal)):
        raise WeightsError("sub_mean is no shift and scale per channel")
    white = 255 if bias.abs().max() > 2 else 1
    return {
        "mean": [round(value, 6) for value in (-bias / diagonal / white).tolist()],
        "std": (1 / diagonal / white).tolist(),
    }


def _recognize(checkpoint: Checkpoint) -> bool:
    names = checkpoint.tensors.keys()
    # PANet's denoiser has a slope between the convolutions, and its other networks a block among the others.
    foreign = any(name == "body.0.body.1.weight" or ".conv_match" in name for name in names)
    return {"head.0.weight", "body.0.body.0.weight"} <= names and not foreign


EDSR_FORMAT = ConverterInfo(
    name="edsr",
    recognize=_recognize,
    plan=_plan,
    hints=EDSRHints,
    summary="EDSR state dicts, with an upsampler or features alone",
    url="https://github.com/sanghyun-son/EDSR-PyTorch",
    license="MIT",
)
