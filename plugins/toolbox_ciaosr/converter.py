"""CiaoSR's published checkpoints, as mmediting stores them, and bare state dicts.

The authors' code and weights are licensed for uses that are not commercial (CC BY-NC 4.0).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError, cross_scale_plan

MEAN = (0.4488, 0.4371, 0.404)  # of DIV2K's pictures; the standard deviation is 1
ROOTS = ("", "generator.")  # of names, in state dicts and in mmediting's files
POSITION = 4  # channels of the networks' first layers behind the content


class CiaoSRHints(Config):
    """What a state dict cannot tell."""

    neighbors: Literal[1, 2, 3] = 2  # local_size in the published code
    softness: float = Field(default=1.0, gt=0)  # softmax_scale


def _plan(checkpoint: Checkpoint, hints: CiaoSRHints) -> Conversion:
    root = "generator." if any(name.startswith("generator.") for name in checkpoint.tensors) else ""
    encoder, sources = _encoder(checkpoint, root)
    features = encoder["channels"]
    hidden: list[int] = []
    while f"{root}imnet_q.layers.{2 * len(hidden) + 2}.weight" in checkpoint.tensors:
        hidden.append(checkpoint.shape(f"{root}imnet_q.layers.{2 * len(hidden)}.weight", 2)[0])
    if not hidden:
        raise WeightsError(f"missing '{root}imnet_q.layers.2.weight', which says what the rest of the network is")
    value = checkpoint.shape(f"{root}imnet_q.layers.0.weight", 2)[1]
    channels = checkpoint.shape(f"{root}imnet_q.layers.{2 * len(hidden)}.weight", 2)[0]
    gathered, rest = divmod(value - 9 * features, features)
    if rest or gathered < 0:
        raise WeightsError(
            f"{root}imnet_q.layers.0.weight takes {value} channels, expected {9 * features} and {features} "
            "for each scale of the attention"
        )
    across: tuple[int, ...] = ()
    ignored: frozenset[str] = frozenset()
    if gathered:
        across, names, ignored = cross_scale_plan(checkpoint, gathered, f"{root}cs_attn.")
        sources |= names
    spec: dict[str, Any] = {
        "summary": "converted from a CiaoSR checkpoint",
        "channels": channels,
        "normalization": {"mean": MEAN},
        "global_skip": "bilinear",
        "encoder": encoder,
        "decoder": {
            "name": "implicit-attention",
            "hidden": hidden,
            "across": across,
            "neighbors": hints.neighbors,
            "softness": hints.softness,
        },
    }
    for i in range(len(hidden) + 1):
        for kind in ("weight", "bias"):
            sources[f"decoder.colors.{2 * i}.{kind}"] = f"{root}imnet_q.layers.{2 * i}.{kind}"
    sources |= _network("decoder.key", f"{root}imnet_k", hidden, 9 * features)
    sources |= _network("decoder.value", f"{root}imnet_v", hidden, value)
    return Conversion(spec, sources, ignored)


def _network(ours: str, theirs: str, hidden: list[int], content: int) -> dict[str, str | TensorSource]:
    """A network of content and position, whose first layer ours has in two parts and whose last one it has apart."""
    first = (f"{theirs}.layers.0.weight",), ((hidden[0], content + POSITION),)
    last = f"{theirs}.layers.{2 * len(hidden)}"
    sources: dict[str, str | TensorSource] = {
        f"{ours}.content.weight": TensorSource(*first, _content),
        f"{ours}.content.bias": f"{theirs}.layers.0.bias",
        f"{ours}.position.weight": TensorSource(*first, _position),
    }
    for kind in ("weight", "bias"):
        sources[f"{ours}.output.{kind}"] = f"{last}.{kind}"
        for i in range(1, len(hidden)):
            sources[f"{ours}.layers.{2 * i - 1}.{kind}"] = f"{theirs}.layers.{2 * i}.{kind}"
    return sources


def _content(weight: Tensor) -> Tensor:
    return weight[:, :-POSITION]


def _position(weight: Tensor) -> Tensor:
    return weight[:, -POSITION:]


def _encoder(checkpoint: Checkpoint, root: str) -> tuple[dict[str, Any], dict[str, str | TensorSource]]:
    """The spec of mmediting's EDSR or RDN, and the sources of its tensors."""
    names: dict[str, str] = {}
    if f"{root}conv_first.weight" in checkpoint.tensors:
        channels = checkpoint.shape(f"{root}conv_first.weight")[0]
        blocks = checkpoint.count(root + "body.{}.conv1.weight")
        names |= {"head": "conv_first", "tail": "conv_after_body"}
        for i in range(blocks):
            names |= {f"blocks.{i}.body.0": f"body.{i}.conv1", f"blocks.{i}.body.2": f"body.{i}.conv2"}
        encoder: dict[str, Any] = {"name": "edsr", "channels": channels, "blocks": blocks}
    elif f"{root}sfe1.weight" in checkpoint.tensors:
        channels = checkpoint.shape(f"{root}sfe1.weight")[0]
        blocks = checkpoint.count(root + "rdbs.{}.lff.weight")
        layers = checkpoint.count(root + "rdbs.0.layers.{}.conv.weight")
        growth = checkpoint.shape(f"{root}rdbs.0.layers.0.conv.weight")[0]
        names |= {"shallow_a": "sfe1", "shallow_b": "sfe2", "fusion.0": "gff.0", "fusion.1": "gff.1"}
        for i in range(blocks):
            names[f"blocks.{i}.fusion"] = f"rdbs.{i}.lff"
            names |= {f"blocks.{i}.convs.{j}": f"rdbs.{i}.layers.{j}.conv" for j in range(layers)}
        encoder = {"name": "rdn", "channels": channels, "blocks": blocks, "layers": layers, "growth": growth}
    else:
        raise WeightsError("its encoder is neither EDSR (conv_first.weight) nor RDN (sfe1.weight)")
    return encoder, {
        f"encoder.{ours}.{kind}": f"{root}{theirs}.{kind}"
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }


def _recognize(checkpoint: Checkpoint) -> bool:
    networks = ("imnet_q", "imnet_k", "imnet_v")
    complete = any(
        {f"{root}{each}.layers.0.weight" for each in networks} <= checkpoint.tensors.keys() for root in ROOTS
    )
    return complete and "hypernet_q.layers.0.weight" not in checkpoint.tensors


CIAOSR_FORMAT = ConverterInfo(
    name="ciaosr",
    recognize=_recognize,
    plan=_plan,
    hints=CiaoSRHints,
    summary="CiaoSR's .pth files and state dicts, on EDSR or RDN; its authors' weights are not for commercial use",
    url="https://github.com/caojiezhang/CiaoSR",
    license="CC-BY-NC-4.0",
)
