"""Thera's published parameters: flax arrays by their paths, channels last, as an .npz or a mapping of names to arrays.

The published files are pickles, which can run code while they are read, so `convert` refuses them. If you trust one,
save its arrays in an environment with flax:

    flat = flax.traverse_util.flatten_dict(flax.core.unfreeze(pickle.load(file)["model"]), sep="/")
    numpy.savez("thera.npz", **{name: numpy.asarray(array) for name, array in flat.items()})
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, EDSRConfig, TensorSource, WeightsError
from toolbox_thera.convnext import WIDER

MEAN = (0.4488, 0.4371, 0.404)  # mean and deviation of DIV2K's pictures
STD = math.sqrt(0.25 + 1e-5)  # jax.nn.standardize adds this to the variance
FIELD_STD = 0.5  # the factor that the field gets afterwards

Sources = dict[str, str | TensorSource]


class TheraHints(Config):
    """No hints: the parameters leave nothing open."""


def _plan(checkpoint: Checkpoint, hints: TheraHints) -> Conversion:
    root = "params/" if any(name.startswith("params/") for name in checkpoint.tensors) else ""
    _, hidden = checkpoint.shape(f"{root}components", 2)
    features, parameters = checkpoint.shape(f"{root}out_conv/kernel")[2:]
    channels = len(MEAN)
    if parameters != (channels + 1) * hidden:
        raise WeightsError(
            f"{root}out_conv/kernel gives {parameters} channels, expected {(channels + 1) * hidden}: "
            f"{channels} weights and a phase for each of {hidden} components"
        )
    if _has(checkpoint, f"{root}refine/") and f"{root}refine/layers_0/" not in "".join(checkpoint.tensors):
        raise WeightsError("its refinement is no ConvNeXt; Thera pro's SwinIR cannot be converted")
    refined = _has(checkpoint, f"{root}refine/")
    encoder, sources = _encoder(checkpoint, f"{root}encoder/", "encoder.encoder." if refined else "encoder.")
    if refined:
        stages, more = _refinement(checkpoint, f"{root}refine/", encoder["channels"])
        encoder = {"name": "convnext-refinement", "encoder": encoder, "blocks": stages}
        sources |= more
    sources |= {
        "decoder.field.weight": TensorSource(
            (f"{root}out_conv/kernel",),
            ((1, 1, features, parameters),),
            lambda kernel: _field(kernel[0, 0].T, hidden)[:, :, None, None],
        ),
        "decoder.field.bias": TensorSource((f"{root}out_conv/bias",), ((parameters,),), partial(_field, hidden=hidden)),
        "decoder.frequencies": f"{root}components",
        "decoder.diffusivity": f"{root}k",
    }
    spec: dict[str, Any] = {
        "summary": "converted from Thera's parameters",
        "channels": channels,
        "normalization": {"mean": MEAN, "std": STD},
        "global_skip": "nearest",
        "encoder": encoder,
        # The published network adds the mean to a value that already has it.
        "decoder": {"name": "heat-field", "hidden": hidden, "bias": [mean / STD for mean in MEAN]},
    }
    return Conversion(spec, sources)


def _has(checkpoint: Checkpoint, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in checkpoint.tensors)


def _field(rows: Tensor, hidden: int) -> Tensor:
    """Reorder published rows, (component, channel) and then phases, to ours, (channel, component) and then phases.

    In the published network, input and output differ in standard deviation by jax's epsilon. Ours has only one.
    """
    weights, phases = rows[:-hidden], rows[-hidden:]
    by_channel = weights.unflatten(0, (hidden, -1)).transpose(0, 1).flatten(0, 1)
    return torch.cat((by_channel * (FIELD_STD / STD), phases))


def _encoder(checkpoint: Checkpoint, prefix: str, ours: str) -> tuple[dict[str, Any], Sources]:
    """The spec of EDSR or RDN in flax's names, and the sources of its tensors."""
    if f"{prefix}head/layers_0/kernel" in checkpoint.tensors:
        return _edsr(checkpoint, prefix, ours)
    if f"{prefix}RDB_0/Conv_0/kernel" in checkpoint.tensors:
        return _rdn(checkpoint, prefix, ours)
    raise WeightsError(f"the encoder under {prefix!r} is neither EDSR (head/layers_0) nor RDN (RDB_0/Conv_0)")


def _edsr(checkpoint: Checkpoint, prefix: str, ours: str) -> tuple[dict[str, Any], Sources]:
    channels = checkpoint.shape(f"{prefix}head/layers_0/kernel")[3]
    blocks = checkpoint.count(prefix + "body/layers_{}/body/layers_0/kernel")
    full = EDSRConfig.presets["full"]
    scale = full["residual_scale"] if channels == full["channels"] else 1.0
    sources = _conv(f"{ours}head", f"{prefix}head/layers_0", 3, len(MEAN), channels)
    sources |= _conv(f"{ours}tail", f"{prefix}body/layers_{blocks}", 3, channels, channels)
    for block in range(blocks):
        for layer in (0, 2):
            published = f"{prefix}body/layers_{block}/body/layers_{layer}"
            sources |= _conv(f"{ours}blocks.{block}.body.{layer}", published, 3, channels, channels)
    return {"name": "edsr", "channels": channels, "blocks": blocks, "residual_scale": scale}, sources


def _rdn(checkpoint: Checkpoint, prefix: str, ours: str) -> tuple[dict[str, Any], Sources]:
    blocks = checkpoint.count(prefix + "RDB_{}/Conv_0/kernel")
    layers = checkpoint.count(prefix + "RDB_0/RDB_Conv_{}/Conv_0/kernel")
    channels = checkpoint.shape(f"{prefix}RDB_0/Conv_0/kernel")[3]
    growth = checkpoint.shape(f"{prefix}RDB_0/RDB_Conv_0/Conv_0/kernel")[3]
    sources = _conv(f"{ours}shallow_a", f"{prefix}Conv_0", 3, len(MEAN), channels)
    sources |= _conv(f"{ours}shallow_b", f"{prefix}Conv_1", 3, channels, channels)
    sources |= _conv(f"{ours}fusion.0", f"{prefix}Conv_2", 1, blocks * channels, channels)
    sources |= _conv(f"{ours}fusion.1", f"{prefix}Conv_3", 3, channels, channels)
    for block in range(blocks):
        inside = f"{prefix}RDB_{block}"
        sources |= _conv(f"{ours}blocks.{block}.fusion", f"{inside}/Conv_0", 1, channels + layers * growth, channels)
        for layer in range(layers):
            published = f"{inside}/RDB_Conv_{layer}/Conv_0"
            sources |= _conv(f"{ours}blocks.{block}.convs.{layer}", published, 3, channels + layer * growth, growth)
    return {"name": "rdn", "channels": channels, "blocks": blocks, "layers": layers, "growth": growth}, sources


def _refinement(checkpoint: Checkpoint, prefix: str, features: int) -> tuple[list[tuple[int, int]], Sources]:
    """The stages of ConvNeXt blocks, and the sources of their tensors."""
    sources: Sources = {}
    stages, width, layer = [[features, 0]], features, 0
    while _has(checkpoint, f"{prefix}layers_{layer}/"):
        ours, published = f"encoder.layers.{layer}.", f"{prefix}layers_{layer}/"
        if f"{published}Conv_0/kernel" in checkpoint.tensors:
            wider = checkpoint.shape(f"{published}Conv_0/kernel")[3]
            sources |= _norm(f"{ours}norm", f"{published}LayerNorm_0")
            sources |= _linear(f"{ours}linear", f"{published}Conv_0", width, wider)
            stages, width = [*stages, [wider, 0]], wider
        else:
            depthwise, inside = (
                TensorSource((f"{published}residual/layers_0/kernel",), ((3, 3, 1, width),), _kernel),
                WIDER * width,
            )
            sources[f"{ours}depthwise.weight"] = depthwise
            sources |= _norm(f"{ours}norm", f"{published}residual/layers_1")
            sources |= _linear(f"{ours}widen", f"{published}residual/layers_2", width, inside)
            sources |= _linear(f"{ours}narrow", f"{published}residual/layers_4", inside, width)
            stages[-1][1] += 1
        layer += 1
    return [(channels, count) for channels, count in stages if count], sources


def _conv(ours: str, published: str, size: int, before: int, after: int) -> Sources:
    return {
        f"{ours}.weight": TensorSource((f"{published}/kernel",), ((size, size, before, after),), _kernel),
        f"{ours}.bias": f"{published}/bias",
    }


def _linear(ours: str, published: str, before: int, after: int) -> Sources:
    return {
        f"{ours}.weight": TensorSource(
            (f"{published}/kernel",), ((1, 1, before, after),), lambda kernel: kernel[0, 0].T
        ),
        f"{ours}.bias": f"{published}/bias",
    }


def _norm(ours: str, published: str) -> Sources:
    return {f"{ours}.weight": f"{published}/scale", f"{ours}.bias": f"{published}/bias"}


def _kernel(kernel: Tensor) -> Tensor:
    """(height, width, in, out) → (out, in, height, width)."""
    return kernel.permute(3, 2, 0, 1)


THERA_FORMAT = ConverterInfo(
    name="thera",
    recognize=lambda checkpoint: any(
        {f"{root}components", f"{root}out_conv/kernel"} <= checkpoint.tensors.keys() for root in ("", "params/")
    ),
    plan=_plan,
    hints=TheraHints,
    summary="Thera's parameters as an .npz, air and plus, on EDSR or RDN; its pickles are refused",
    url="https://github.com/prs-eth/thera",
    license="Apache-2.0",
)
