"""SRFBN's published checkpoints."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError

WHITE = 255  # the published network sees 0 to 255
SHIFTS = frozenset(f"{layer}.{kind}" for layer in ("sub_mean", "add_mean") for kind in ("weight", "bias"))
NEEDED = {"conv_in.0.weight", "feat_in.0.weight", "block.compress_in.0.weight", "block.compress_out.0.weight"}


class SRFBNHints(Config):
    """What a state dict cannot tell."""

    steps: int = Field(default=4, gt=0, le=1000, description="number of states, T; the published networks have 4")


def _plan(checkpoint: Checkpoint, hints: SRFBNHints) -> Conversion:
    width, channels = checkpoint.shape("conv_in.0.weight")[:2]
    features = checkpoint.shape("feat_in.0.weight")[0]
    groups = checkpoint.count("block.upBlocks.{}.0.weight")
    scale = checkpoint.shape("out.0.weight")[2] - 4
    if scale not in (2, 3, 4, 8):
        raise WeightsError(f"out.0.weight has kernels of {scale + 4} pixels, expected 6, 7, 8 or 12")
    spec = {
        "summary": "converted from an SRFBN checkpoint",
        "channels": channels,
        "normalization": {"mean": _mean(checkpoint, channels), "std": 1 / WHITE},
        "global_skip": "bilinear",
        "encoder": {
            "name": "recurrent",
            "steps": hints.steps,
            "collect": "all",
            "stem": {
                "name": "convolutions",
                "channels": [width, features],
                "kernel_sizes": [3, 1],
                "activation": "prelu",
            },
            "transition": {"name": "feedback", "channels": features, "groups": groups, "scale": scale},
        },
        "decoder": {"name": "deconvolution", "scale": scale},
    }
    layers = {
        "encoder.stem.layers.0": "conv_in.0",
        "encoder.stem.layers.2": "feat_in.0",
        "decoder.conv": "conv_out.0",
    }
    slopes = {"encoder.stem.layers.1": "conv_in.1", "encoder.stem.layers.3": "feat_in.1"}
    blocks = {"decoder.up": "out", "encoder.transition.fed_back": "block.compress_in"}
    blocks["encoder.transition.fusion"] = "block.compress_out"
    for group in range(groups):
        blocks[f"encoder.transition.ups.{group}"] = f"block.upBlocks.{group}"
        blocks[f"encoder.transition.downs.{group}"] = f"block.downBlocks.{group}"
    for group in range(1, groups):
        blocks[f"encoder.transition.joins_low.{group}"] = f"block.uptranBlocks.{group - 1}"
        blocks[f"encoder.transition.joins_high.{group}"] = f"block.downtranBlocks.{group - 1}"
    layers |= {f"{ours}.0": f"{theirs}.0" for ours, theirs in blocks.items()}
    slopes |= {f"{ours}.1": f"{theirs}.1" for ours, theirs in blocks.items()}
    sources: dict[str, str | TensorSource] = {
        f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in layers.items() for kind in ("weight", "bias")
    }
    sources |= {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in slopes.items()}
    return Conversion(spec, sources, SHIFTS)


def _mean(checkpoint: Checkpoint, channels: int) -> list[float]:
    """The mean in [0, 1] that the network subtracts from the image, and adds to its result.

    The published layers were frozen, so their matrices are the identity.
    """
    matrix, shift = checkpoint.shape("sub_mean.weight"), checkpoint.shape("sub_mean.bias", 1)
    if matrix != (channels, channels, 1, 1) or shift != (channels,):
        raise WeightsError(f"sub_mean is not for {channels} channels, as conv_in is")
    expected = torch.eye(channels)
    subtracted, added = checkpoint.tensors["sub_mean.bias"], checkpoint.tensors.get("add_mean.bias", Tensor())
    matrices = [checkpoint.tensors.get(f"{name}_mean.weight", Tensor()).flatten(1) for name in ("sub", "add")]
    if not all(torch.equal(each.float(), expected) for each in matrices) or not torch.equal(added, -subtracted):
        raise WeightsError("sub_mean and add_mean do not subtract and add the same mean")
    return [round(value, 6) for value in (-subtracted.double() / WHITE).tolist()]


SRFBN_FORMAT = ConverterInfo(
    name="srfbn",
    recognize=lambda checkpoint: checkpoint.tensors.keys() >= NEEDED,
    plan=_plan,
    hints=SRFBNHints,
    summary="SRFBN's .pth files and state dicts",
    url="https://github.com/Paper99/SRFBN_CVPR19",
    license="MIT",
)
