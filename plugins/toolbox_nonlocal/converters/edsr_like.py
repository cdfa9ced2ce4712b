"""NLSN and ENLCN: EDSR with a non-local block in front, and after every eighth residual block."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from toolbox.plugin import (
    MEAN_SHIFT,
    Checkpoint,
    Config,
    Conversion,
    ConverterInfo,
    WeightsError,
    mean_shift,
    upsampler_plan,
)
from toolbox_nonlocal.converters.blocks import ENLCA, NLSA, PYRAMID, Block, Sources


class ENLCNHints(Config):
    """Settings that ENLCN's tensors leave open."""

    residual_scale: float = Field(default=0.1, gt=0)  # of residual blocks, and of what the attention gathers


class NLSNHints(Config):
    """Settings that NLSN's tensors leave open."""

    residual_scale: float = Field(default=0.1, gt=0)  # of residual blocks, and of what the attention gathers
    chunk: int = Field(default=144, gt=0)
    rounds: int = Field(default=4, gt=0)
    seed: int = Field(default=0, ge=0)  # of the rotations, which the file does not hold


def edsr_plan(checkpoint: Checkpoint, block: Block, scale: float, settings: dict[str, Any]) -> Conversion:
    """The plan of an EDSR that has blocks of a kind between its residual blocks, all numbered through in ``body``.

    Raises:
        WeightsError: there is no such block, or something else in between.
    """
    sources: Sources = {}
    places: list[str] = []
    spec: dict[str, Any] = {}
    residual = number = 0
    while f"body.{number}.weight" not in checkpoint.tensors:
        prefix = f"body.{number}."
        if f"{prefix}body.0.weight" in checkpoint.tensors:
            for layer in (0, 2):
                for kind in ("weight", "bias"):
                    own = f"encoder.blocks.{residual}.body.{layer}.{kind}"
                    sources[own] = f"{prefix}body.{layer}.{kind}"
            residual += 1
        elif f"{prefix}{block.mark}" in checkpoint.tensors:
            places.append(str(residual - 1) if residual else "first")
            spec, more = block.plan(checkpoint, prefix, f"encoder.nonlocal_blocks.{places[-1]}.", settings)
            sources |= more
        else:
            raise WeightsError(f"missing 'body.{number}.weight', which determines the rest of the network")
        number += 1
    if not spec:
        raise WeightsError(f"its body has no block with {block.mark!r}, expected at least one")
    for kind in ("weight", "bias"):
        sources |= {f"encoder.head.{kind}": f"head.0.{kind}", f"encoder.tail.{kind}": f"body.{number}.{kind}"}
    channels, colors = checkpoint.shape("head.0.weight")[:2]
    decoder, upsampler = upsampler_plan(checkpoint)
    network = {
        "summary": f"converted from an EDSR with {spec['name']}",
        "channels": colors,
        "encoder": {
            "name": "edsr",
            "channels": channels,
            "blocks": residual,
            "residual_scale": scale,
            "nonlocal": spec,
            "nonlocal_after": [int(place) for place in places if place != "first"],
            "nonlocal_at_start": "first" in places,
        },
        "decoder": decoder,
    }
    if "sub_mean.weight" in checkpoint.tensors:
        network["normalization"] = mean_shift(checkpoint)
    ignored = {prefix + name for prefix in block.prefixes(checkpoint) for name in block.ignored}
    return Conversion(network, sources | upsampler, MEAN_SHIFT | ignored)


def _plan_nlsn(checkpoint: Checkpoint, hints: NLSNHints) -> Conversion:
    settings = {"chunk": hints.chunk, "rounds": hints.rounds, "seed": hints.seed}
    if NLSA.mark in checkpoint.tensors:
        return NLSA.alone(checkpoint, {**settings, "scale": _scale_alone(hints)})
    return edsr_plan(checkpoint, NLSA, hints.residual_scale, {**settings, "scale": hints.residual_scale})


def _plan_enlcn(checkpoint: Checkpoint, hints: ENLCNHints) -> Conversion:
    settings = {"scale": hints.residual_scale}
    if ENLCA.mark in checkpoint.tensors:
        return ENLCA.alone(checkpoint, settings)
    return edsr_plan(checkpoint, ENLCA, hints.residual_scale, settings)


def _scale_alone(hints: NLSNHints) -> float:
    """The published default of a block by itself is 1, unlike in the network."""
    return hints.residual_scale if "residual_scale" in hints.model_fields_set else 1.0


def _is_nlsn(checkpoint: Checkpoint) -> bool:
    return bool(NLSA.prefixes(checkpoint)) and not PYRAMID.prefixes(checkpoint)


def _is_enlcn(checkpoint: Checkpoint) -> bool:
    return bool(ENLCA.prefixes(checkpoint))


NLSN_FORMAT = ConverterInfo(
    name="nlsn",
    recognize=_is_nlsn,
    plan=_plan_nlsn,
    hints=NLSNHints,
    summary="state dicts of NLSN, and of its non-local sparse attention alone",
    url="https://github.com/HarukiYqM/Non-Local-Sparse-Attention",
    license="MIT",
)
ENLCN_FORMAT = ConverterInfo(
    name="enlcn",
    recognize=_is_enlcn,
    plan=_plan_enlcn,
    hints=ENLCNHints,
    summary="state dicts of ENLCN, and of its contrastive attention alone",
    url="https://github.com/Zj-BinXia/ENLCA",
    license="MIT",
)
