"""RNAN's state dicts: its denoisers, its networks for super-resolution, and its non-local block alone."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import (
    MEAN_SHIFT,
    Checkpoint,
    Config,
    Conversion,
    ConverterInfo,
    TensorSource,
    WeightsError,
    upsampler_plan,
)

BLOCK = "body_nl_low.0.body.0.RA_MB.0.MB_RB1.0"
ALONE = frozenset(f"{layer}.{kind}" for layer in ("theta", "phi", "g", "W") for kind in ("weight", "bias"))
NONLOCAL = {"theta": "theta", "phi": "phi", "g": "g", "projection": "W"}
RESIDUAL = {  # of a group: ours, and theirs below ``body.0``
    "first": "RA_RB1.0",
    "trunk.0": "RA_TB.0.body.0",
    "trunk.1": "RA_TB.0.body.1",
    "mask.small.0": "RA_MB.0.MB_RB2.0",
    "mask.small.1": "RA_MB.0.MB_RB2.1",
    "mask.after": "RA_MB.0.MB_RB3.0",
    "tail.0": "RA_tail.0",
    "tail.1": "RA_tail.1",
}
SINGLE = {"mask.down": "MB_Down.0", "mask.up": "MB_Up.0", "mask.conv": "MB_1x1conv.0"}
Sources = dict[str, str | TensorSource]


class RNANHints(Config):
    """Settings that RNAN's tensors leave open."""

    white: float = Field(default=255.0, gt=0)  # the value of white that the network sees


def _plan(checkpoint: Checkpoint, hints: RNANHints) -> Conversion:
    if checkpoint.tensors.keys() >= ALONE:
        return _block_alone(checkpoint)
    channels, colors = checkpoint.shape("head.0.weight")[:2]
    local = checkpoint.count("body.{}.body.1.weight")
    sources: Sources = {
        **_both("encoder.head", "head.0"),
        **_both(f"encoder.local.{local}", f"body.{local}"),
        **_group("encoder.first", "body_nl_low.0", nonlocal_block=True),
        **_group("encoder.last", "body_nl_high.0", nonlocal_block=True),
    }
    for number in range(local):
        sources |= _group(f"encoder.local.{number}", f"body.{number}", nonlocal_block=False)
    enlarges = "tail.1.weight" in checkpoint.tensors
    spec: dict[str, Any] = {
        "summary": "converted from an RNAN checkpoint",
        "channels": colors,
        "normalization": {"std": 1 / hints.white},
        "encoder": {
            "name": "rnan",
            "channels": channels,
            "groups": local + 2,
            "long_skip": enlarges,
            "nonlocal": _nonlocal(checkpoint, f"{BLOCK}."),
        },
    }
    if enlarges:
        spec["decoder"], upsampler = upsampler_plan(checkpoint)
        sources |= upsampler
        if "sub_mean.weight" in checkpoint.tensors:
            spec["normalization"]["mean"] = _shifts(checkpoint, hints.white, sources)
    else:
        spec |= {"decoder": "conv", "global_skip": "bicubic"}  # of the same size, so the image itself
        sources |= _both("decoder.conv", "tail.0")
    return Conversion(spec, sources)


def _nonlocal(checkpoint: Checkpoint, prefix: str) -> dict[str, Any]:
    inner = checkpoint.shape(f"{prefix}theta.weight")[0]
    return {"name": "wang-nonlocal", "inner_channels": inner, "softmax_over": "queries"}


def _block_alone(checkpoint: Checkpoint) -> Conversion:
    spec = {
        "summary": "converted from the non-local block of RNAN",
        "channels": checkpoint.shape("theta.weight")[1],
        "encoder": {"name": "nonlocal", "nonlocal": _nonlocal(checkpoint, "")},
        "decoder": "features",
    }
    sources: Sources = {}
    for ours, theirs in NONLOCAL.items():
        sources |= _both(f"encoder.nonlocal_block.{ours}", theirs)
    return Conversion(spec, sources)


def _group(ours: str, theirs: str, *, nonlocal_block: bool) -> Sources:
    inside = f"{theirs}.body.0"
    sources = _both(f"{ours}.conv", f"{theirs}.body.1")
    residual = {**RESIDUAL, "mask.before": f"RA_MB.0.MB_RB1.{int(nonlocal_block)}"}
    for own, name in residual.items():
        for layer in (0, 2):
            sources |= _both(f"{ours}.{own}.body.{layer}", f"{inside}.{name}.body.{layer}")
    for own, name in SINGLE.items():
        sources |= _both(f"{ours}.{own}", f"{inside}.RA_MB.0.{name}")
    for own, name in NONLOCAL.items() if nonlocal_block else ():
        sources |= _both(f"{ours}.mask.nonlocal_block.{own}", f"{inside}.RA_MB.0.MB_RB1.0.{name}")
    return sources


def _both(ours: str, theirs: str) -> Sources:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in ("weight", "bias")}


def _shifts(checkpoint: Checkpoint, white: float, sources: Sources) -> list[float]:
    """The mean of the normalization, with the matrices of both mean shifts in the layers beside them.

    They were trained along, so they may mix colors. M x + b is M (x − mean) for mean = −M⁻¹ b, and zeros beyond the
    border stay zeros.

    Raises:
        WeightsError: a shift is missing, or has no inverse.
    """
    colors = checkpoint.shape("head.0.weight")[1]
    shapes = {"weight": (colors, colors, 1, 1), "bias": (colors,)}
    for name in sorted(MEAN_SHIFT):
        if name not in checkpoint.tensors or tuple(checkpoint.tensors[name].shape) != shapes[name.split(".")[1]]:
            raise WeightsError(f"{name!r} is missing or of another shape than for {colors} colors")
    matrix, shift = (checkpoint.tensors[f"sub_mean.{kind}"].double().flatten(1 - (kind == "bias")) for kind in shapes)
    back = checkpoint.tensors["add_mean.bias"].double()
    inverse, info = torch.linalg.inv_ex(matrix)
    if info or not inverse.isfinite().all():
        raise WeightsError("sub_mean has no inverse, expected a shift of colors")
    mean = -inverse @ shift

    def seen(head: Tensor, mixed: Tensor) -> Tensor:
        return torch.einsum("oc...,ci->oi...", head.double(), mixed.double().flatten(1))

    def mixed(last: Tensor, mixing: Tensor) -> Tensor:
        return torch.einsum("oc,c...->o...", mixing.double().flatten(1), last.double())

    def added(last: Tensor, mixing: Tensor, _: Tensor) -> Tensor:
        return mixed(last, mixing) + back - mean

    head, weight = (checkpoint.shape(name) for name in ("head.0.weight", "tail.1.weight"))
    square, vector = shapes["weight"], shapes["bias"]
    sources["encoder.head.weight"] = TensorSource(("head.0.weight", "sub_mean.weight"), (head, square), seen)
    sources["decoder.conv.weight"] = TensorSource(("tail.1.weight", "add_mean.weight"), (weight, square), mixed)
    names = ("tail.1.bias", "add_mean.weight", "add_mean.bias")
    sources["decoder.conv.bias"] = TensorSource(names, (vector, square, vector), added)
    # The bias of the first shift became the mean; the check of names must know that it is used.
    sources["encoder.head.bias"] = TensorSource(
        ("head.0.bias", "sub_mean.bias"), ((head[0],), vector), lambda bias, _: bias
    )
    return (mean / white).tolist()


RNAN_FORMAT = ConverterInfo(
    name="rnan",
    recognize=lambda checkpoint: f"{BLOCK}.theta.weight" in checkpoint.tensors or checkpoint.tensors.keys() >= ALONE,
    plan=_plan,
    hints=RNANHints,
    summary="state dicts of RNAN's denoisers, of its super-resolution, and of its non-local block alone",
    url="https://github.com/yulunzhang/RNAN",
    license="none stated by its authors",
)
