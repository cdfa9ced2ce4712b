"""NAFNet's checkpoints: the U-net, NAFSSR's network for one view, and a block alone, told by their tensor names."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError

Sources = dict[str, str | TensorSource]

LAYERS = {"conv1": "expand1", "conv3": "project1", "sca.1": "attention", "conv4": "expand2", "conv5": "project2"}
KINDS = ("weight", "bias")
SR_BLOCK = "body.{}.module.blk"
ALONE = frozenset(("beta", "gamma", "conv1.weight", "sca.1.weight"))


class NAFNetHints(Config):
    """Settings that a state dict leaves open."""

    local: tuple[PositiveInt, PositiveInt] | None = None  # training size; None: means over the whole image


def _plan(checkpoint: Checkpoint, hints: NAFNetHints) -> Conversion:
    if checkpoint.tensors.keys() >= ALONE:
        return _block_alone(checkpoint, hints.local)
    plan = _sr_plan if f"{SR_BLOCK.format(0)}.conv1.weight" in checkpoint.tensors else _unet_plan
    return plan(checkpoint, hints.local)


def _unet_plan(checkpoint: Checkpoint, local: tuple[int, int] | None) -> Conversion:
    channels, image_channels = checkpoint.shape("intro.weight")[:2]
    levels = checkpoint.count("downs.{}.weight")
    if levels == 0:
        raise WeightsError("missing 'downs.0.weight', which determines the rest of the network")
    layers = {"encoder.intro": "intro", "decoder.conv": "ending"}
    layers |= {f"encoder.downs.{level}": f"downs.{level}" for level in range(levels)}
    sources: Sources = {f"encoder.ups.{level}.weight": f"ups.{level}.0.weight" for level in range(levels)}
    for ours, theirs in layers.items():
        sources |= {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in KINDS}
    counts: dict[str, list[int]] = {"encoders": [], "decoders": []}
    for part, numbers in counts.items():
        for place in range(levels):
            level = place if part == "encoders" else levels - 1 - place
            number, blocks = _blocks(
                checkpoint, f"encoder.{part}.{place}", part + f".{place}" + ".{}", channels * 2**level
            )
            numbers.append(number)
            sources |= blocks
    middle, blocks = _blocks(checkpoint, "encoder.middle", "middle_blks.{}", channels * 2**levels)
    spec: dict[str, Any] = {
        "summary": "converted from a NAFNet checkpoint",
        "channels": image_channels,
        "global_skip": "bilinear",
        "encoder": {
            "name": "nafnet",
            "channels": channels,
            "encoder_blocks": counts["encoders"],
            "middle_blocks": middle,
            "decoder_blocks": counts["decoders"],
            "local": local,
        },
        "decoder": "conv",
    }
    return Conversion(spec, {**sources, **blocks})


def _sr_plan(checkpoint: Checkpoint, local: tuple[int, int] | None) -> Conversion:
    channels, image_channels = checkpoint.shape("intro.weight")[:2]
    number, sources = _blocks(checkpoint, "encoder.blocks", SR_BLOCK, channels)
    for ours, theirs in {"encoder.intro": "intro", "decoder.conv": "up.0"}.items():
        sources |= {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in KINDS}
    spec: dict[str, Any] = {
        "summary": "converted from a NAFSSR checkpoint for one view",
        "channels": image_channels,
        "global_skip": "bilinear",
        "encoder": {"name": "naf", "channels": channels, "blocks": number, "local": local},
        "decoder": {
            "name": "pixel-shuffle-direct",
            "scale": round((checkpoint.shape("up.0.weight")[0] / image_channels) ** 0.5),
        },
    }
    return Conversion(spec, sources)


def _block_alone(checkpoint: Checkpoint, local: tuple[int, int] | None) -> Conversion:
    channels = checkpoint.shape("conv3.weight")[1]
    intro: Sources = {
        "encoder.intro.weight": TensorSource((), (), lambda: _unchanged(channels)),
        "encoder.intro.bias": TensorSource((), (), lambda: torch.zeros(channels)),
    }
    spec: dict[str, Any] = {
        "summary": "converted from a block of NAFNet, behind a convolution that changes nothing",
        "channels": channels,
        "encoder": {"name": "naf", "channels": channels, "blocks": 1, "local": local},
        "decoder": "features",
    }
    return Conversion(spec, intro | _block("encoder.blocks.0.", "", channels))


def _blocks(checkpoint: Checkpoint, ours: str, pattern: str, channels: int) -> tuple[int, Sources]:
    """The number of blocks with published names of a pattern, at least one, and the sources of their tensors."""
    number = max(1, checkpoint.count(pattern + ".conv1.weight"))
    sources: Sources = {}
    for i in range(number):
        sources |= _block(f"{ours}.{i}.", f"{pattern.format(i)}.", channels)
    return number, sources


def _block(ours: str, theirs: str, channels: int) -> Sources:
    """The tensors of a block, below a prefix of our names and one of the published ones."""
    sources: Sources = {}
    for own, name in {"norm1": "norm1", "norm2": "norm2", "depthwise": "conv2"}.items():
        sources |= {f"{ours}{own}.{kind}": f"{theirs}{name}.{kind}" for kind in KINDS}
    for gain in ("beta", "gamma"):
        sources[f"{ours}{gain}"] = TensorSource((f"{theirs}{gain}",), ((1, channels, 1, 1),), _vector)
    for published, layer in LAYERS.items():
        shape = (2 * channels if layer.startswith("expand") else channels, channels, 1, 1)
        sources[f"{ours}{layer}.weight"] = TensorSource((f"{theirs}{published}.weight",), (shape,), _matrix)
        sources[f"{ours}{layer}.bias"] = f"{theirs}{published}.bias"
    return sources


def _unchanged(channels: int) -> Tensor:
    """A 3×3 kernel that gives what it gets."""
    return F.pad(torch.eye(channels)[:, :, None, None], (1, 1, 1, 1))


def _vector(gain: Tensor) -> Tensor:
    return gain.flatten()


def _matrix(weight: Tensor) -> Tensor:
    return weight.flatten(1)


def _recognize(checkpoint: Checkpoint) -> bool:
    unet = {"intro.weight", "ending.weight"} <= checkpoint.tensors.keys() and any(
        name.startswith(("encoders.", "middle_blks.")) and name.endswith((".beta", ".gamma"))
        for name in checkpoint.tensors
    )
    nets = ({"intro.weight", f"{SR_BLOCK.format(0)}.conv1.weight"}, ALONE)
    return unet or any(names <= checkpoint.tensors.keys() for names in nets)


NAFNET_FORMAT = ConverterInfo(
    name="nafnet",
    recognize=_recognize,
    plan=_plan,
    hints=NAFNetHints,
    summary="NAFNet's .pth files, NAFSSR's for one view, and a block's state dict",
    url="https://github.com/megvii-research/NAFNet",
    license="MIT",
)
