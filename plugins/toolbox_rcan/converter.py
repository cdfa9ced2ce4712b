"""RCAN's checkpoints, in the naming of its authors and in that of BasicSR.

The authors' file has a mean shift of two 1×1 convolutions. Their code trained them along with the rest, so their
matrices may mix the channels. Then the first one goes into the encoder's first convolution, and the second one into
the decoder's last.

The authors' code and weights come without a license; BasicSR and its weights are under Apache-2.0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError

Sources = dict[str, str | TensorSource]

DIV2K_MEAN = (0.4488, 0.4371, 0.404)  # which BasicSR has in its code
SINGULAR = 1e-6  # smallest determinant of a matrix that a mean shift can have


class Naming(NamedTuple):
    """Published names of the layers; ``{g}`` is the number of a group and ``{b}`` that of a block."""

    head: str
    block: str
    squeeze: str  # below block, as all up to excite
    excite: str
    first: str
    second: str
    group_tail: str  # {b} is the number of blocks
    tail: str  # {g} is the number of groups
    upscale: str  # {b} is the number of the layer
    last: str


AUTHORS = Naming(
    head="head.0",
    block="body.{g}.body.{b}.body.",
    squeeze="3.conv_du.0",
    excite="3.conv_du.2",
    first="0",
    second="2",
    group_tail="body.{g}.body.{b}",
    tail="body.{g}",
    upscale="tail.0.{b}",
    last="tail.1",
)
BASICSR = Naming(
    head="conv_first",
    block="body.{g}.residual_group.{b}.rcab.",
    squeeze="3.attention.1",
    excite="3.attention.3",
    first="0",
    second="2",
    group_tail="body.{g}.conv",
    tail="conv_after_body",
    upscale="upsample.{b}",
    last="conv_last",
)


class RCANHints(Config):
    """Settings that a state dict leaves open."""

    white: float | None = Field(default=None, gt=0)  # None: 255, or 1 if the mean shift in the file is for that
    residual_scale: float = Field(default=1.0, gt=0)


def _plan(checkpoint: Checkpoint, hints: RCANHints) -> Conversion:
    names = _naming(checkpoint)
    channels, image_channels = checkpoint.shape(f"{names.head}.weight")[:2]
    groups, blocks = _count(checkpoint, names.block, "g", b=0), _count(checkpoint, names.block, "b", g=0)
    squeezed = names.block.format(g=0, b=0) + names.squeeze
    inner = checkpoint.shape(f"{squeezed}.weight")[0]
    layers = {"encoder.head": names.head, "encoder.tail": names.tail.format(g=groups)}
    linear = {}
    for g in range(groups):
        layers[f"encoder.groups.{g}.tail"] = names.group_tail.format(g=g, b=blocks)
        for b in range(blocks):
            ours, theirs = f"encoder.groups.{g}.blocks.{b}", names.block.format(g=g, b=b)
            layers |= {f"{ours}.first": theirs + names.first, f"{ours}.second": theirs + names.second}
            linear[f"{ours}.attention.squeeze"] = theirs + names.squeeze, (inner, channels)
            linear[f"{ours}.attention.excite"] = theirs + names.excite, (channels, inner)
    decoder, upscale = _decoder(checkpoint, names)
    sources: Sources = {
        f"{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in {**layers, **upscale}.items()
        for kind in ("weight", "bias")
    }
    for ours, (theirs, shape) in linear.items():
        sources[f"{ours}.weight"] = TensorSource((f"{theirs}.weight",), ((*shape, 1, 1),), _flat)
        sources[f"{ours}.bias"] = f"{theirs}.bias"
    spec: dict[str, Any] = {
        "summary": "converted from an RCAN checkpoint",
        "channels": image_channels,
        "encoder": {
            "name": "rcan",
            "channels": channels,
            "groups": groups,
            "blocks": blocks,
            "reduction": channels // inner,
            "residual_scale": hints.residual_scale,
        },
        "decoder": decoder,
    }
    if names is BASICSR:
        mean = DIV2K_MEAN if image_channels == 3 else 0.0
        return Conversion({**spec, "normalization": {"mean": mean, "std": 1 / (hints.white or 255)}}, sources)
    normalization, shifted, ignored = _mean_shift(checkpoint, hints.white)
    return Conversion({**spec, "normalization": normalization}, {**sources, **shifted}, ignored)


def _naming(checkpoint: Checkpoint) -> Naming:
    return BASICSR if f"{BASICSR.head}.weight" in checkpoint.tensors else AUTHORS


def _count(checkpoint: Checkpoint, block: str, counted: str, **others: int) -> int:
    """The number of groups or blocks: at least one, so that the error for a missing block is about the first."""
    pattern = block.format(**{counted: "{}", **{name: str(number) for name, number in others.items()}})
    return max(1, checkpoint.count(f"{pattern}0.weight"))


def _decoder(checkpoint: Checkpoint, names: Naming) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of the decoder, and the published names of its layers."""
    stages = 0
    while f"{names.upscale.format(b=2 * stages)}.weight" in checkpoint.tensors:
        stages += 1
    width, features = checkpoint.shape(f"{names.upscale.format(b=0)}.weight")[:2]
    scale = 3 if stages == 1 and width == 9 * features else 2**stages
    layers = {f"decoder.upscale.{2 * i}": names.upscale.format(b=2 * i) for i in range(stages)}
    settings = {"name": "pixel-shuffle", "scale": scale, "channels": checkpoint.shape(f"{names.last}.weight")[1]}
    return settings, {**layers, "decoder.conv": names.last}


def _mean_shift(checkpoint: Checkpoint, white: float | None) -> tuple[dict[str, Any], Sources, frozenset[str]]:
    """The normalization that the mean shift is, sources of the layers that take what is left of it, and other names.

    The published network is A · last(... head(M · x + m)) + a. With a normalization by the mean μ = −M⁻¹ m, the first
    convolution sees M · (x − μ), also beyond the border, where both are zero.
    """
    count = checkpoint.shape("head.0.weight")[1]
    names = frozenset(f"{layer}.{kind}" for layer in ("sub_mean", "add_mean") for kind in ("weight", "bias"))
    if missing := sorted(names - checkpoint.tensors.keys()):
        raise WeightsError(f"missing {', '.join(missing)}; expected the mean shift that RCAN was trained with")
    for layer in ("sub_mean", "add_mean"):
        shapes = checkpoint.shape(f"{layer}.weight"), checkpoint.shape(f"{layer}.bias", 1)
        if shapes != ((count, count, 1, 1), (count,)):
            raise WeightsError(f"{layer} has shapes {list(shapes)}, expected a 1×1 convolution of {count} channels")
    before, shift, after, shift_back = (
        checkpoint.tensors[f"{layer}.{kind}"].double().flatten(1 if kind == "weight" else 0)
        for layer in ("sub_mean", "add_mean")
        for kind in ("weight", "bias")
    )
    if not before.det().abs() > SINGULAR:
        raise WeightsError("the matrix of sub_mean has no inverse, expected one near the identity")
    mean = -torch.linalg.solve(before, shift)
    white = white or (255 if shift.abs().max() > 2 else 1)
    identity = torch.eye(count, dtype=torch.float64)
    if torch.equal(before, identity) and torch.equal(after, identity) and torch.equal(shift_back, -shift):
        values = [round(value, 6) for value in (mean / white).tolist()]
        return {"mean": values, "std": 1 / white}, {}, names
    head, last = checkpoint.shape("head.0.weight"), checkpoint.shape("tail.1.weight")
    matrix = (count, count, 1, 1)

    def first(weight: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("oikl,ij->ojkl", weight.double(), matrix.double().flatten(1)).to(weight.dtype)

    def final(weight: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("po,oikl->pikl", matrix.double().flatten(1), weight.double()).to(weight.dtype)

    def final_bias(bias: Tensor, matrix: Tensor, back: Tensor) -> Tensor:
        shifted = matrix.double().flatten(1) @ bias.double() + back.double() - mean
        return shifted.to(bias.dtype)

    return (
        {"mean": (mean / white).tolist(), "std": 1 / white},
        {
            "encoder.head.weight": TensorSource(("head.0.weight", "sub_mean.weight"), (head, matrix), first),
            "decoder.conv.weight": TensorSource(("tail.1.weight", "add_mean.weight"), (last, matrix), final),
            "decoder.conv.bias": TensorSource(
                ("tail.1.bias", "add_mean.weight", "add_mean.bias"), ((count,), matrix, (count,)), final_bias
            ),
        },
        frozenset(("sub_mean.bias",)),
    )


def _flat(weight: Tensor) -> Tensor:
    return weight.flatten(1)


def _recognize(checkpoint: Checkpoint) -> bool:
    return any(
        f"{names.block.format(g=0, b=0)}{names.squeeze}.weight" in checkpoint.tensors for names in (AUTHORS, BASICSR)
    )


RCAN_FORMAT = ConverterInfo(
    name="rcan",
    recognize=_recognize,
    plan=_plan,
    hints=RCANHints,
    summary="RCAN's .pt and .pth files, of its authors and of BasicSR",
    url="https://github.com/yulunzhang/RCAN",
    license="none stated by RCAN's authors; Apache-2.0 for BasicSR's weights",
)
