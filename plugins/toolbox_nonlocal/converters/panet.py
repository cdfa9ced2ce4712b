"""PANet: its denoisers, EDSR with pyramid attention, and the attention alone."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from toolbox.plugin import MEAN_SHIFT, Checkpoint, Config, Conversion, ConverterInfo, TensorSource, WeightsError
from toolbox_nonlocal.converters.blocks import PYRAMID, Sources
from toolbox_nonlocal.converters.edsr_like import edsr_plan


class PANetHints(Config):
    """Settings that PANet's tensors leave open."""

    levels: int = Field(default=5, gt=0)
    residual_scale: float | None = Field(default=None, gt=0)  # None: 0.1 with an upsampler, else 1
    white: float | None = Field(default=None, gt=0)  # of what a denoiser sees; None: by the unused mean in its file


def _plan(checkpoint: Checkpoint, hints: PANetHints) -> Conversion:
    enlarges = "tail.1.weight" in checkpoint.tensors
    scale = hints.residual_scale or (0.1 if enlarges else 1.0)
    settings = {"levels": hints.levels, "scale": scale}
    if PYRAMID.mark in checkpoint.tensors:
        return PYRAMID.alone(checkpoint, settings)
    if enlarges:
        return edsr_plan(checkpoint, PYRAMID, scale, settings)
    return _denoiser(checkpoint, hints, settings)


def _denoiser(checkpoint: Checkpoint, hints: PANetHints, settings: dict[str, Any]) -> Conversion:
    if settings["scale"] != 1:
        raise WeightsError(f"got residual_scale={settings['scale']}, expected 1, as in all published denoisers")
    sources: Sources = {}
    slopes: list[str] = []
    after = number = 0
    block: dict[str, Any] = {}
    while f"body.{number}.weight" not in checkpoint.tensors:
        prefix = f"body.{number}."
        if f"{prefix}body.0.weight" in checkpoint.tensors:
            for i, layer in enumerate((0, 2)):
                for kind in ("weight", "bias"):
                    sources[f"encoder.blocks.{len(slopes)}.{i}.{kind}"] = f"{prefix}body.{layer}.{kind}"
            slopes.append(f"{prefix}body.1.weight")
        elif f"{prefix}{PYRAMID.mark}" in checkpoint.tensors and not block:
            after = number
            block, more = PYRAMID.plan(checkpoint, prefix, "encoder.nonlocal_block.", settings)
            sources |= more
        else:
            raise WeightsError(f"missing 'body.{number}.weight', which determines the rest of the network")
        number += 1
    if not block or not slopes:
        raise WeightsError("its body has no pyramid attention among residual blocks, expected one")
    present = [checkpoint.tensors[name].flatten() for name in slopes if name in checkpoint.tensors]
    if any(each.shape != present[0].shape or bool((each != present[0]).any()) for each in present):
        raise WeightsError(f"{slopes[0]!r} and the slopes of other blocks differ, expected one for all")
    sources["encoder.slope"] = TensorSource(tuple(slopes), ((1,),) * len(slopes), lambda first, *rest: first)
    for kind in ("weight", "bias"):
        sources |= {f"encoder.head.{kind}": f"head.0.{kind}", f"encoder.tail.{kind}": f"body.{number}.{kind}"}
        sources[f"decoder.conv.{kind}"] = f"tail.0.{kind}"
    channels, colors = checkpoint.shape("head.0.weight")[:2]
    spec: dict[str, Any] = {
        "summary": "converted from a denoiser of PANet",
        "channels": colors,
        "normalization": {"std": 1 / (hints.white or _white(checkpoint))},
        "encoder": {
            "name": "panet",
            "channels": channels,
            "blocks": len(slopes),
            "after": after,
            "nonlocal": block,
        },
        "decoder": "conv",
    }
    ignored = {prefix + name for prefix in PYRAMID.prefixes(checkpoint) for name in PYRAMID.ignored}
    return Conversion(spec, sources, MEAN_SHIFT | ignored)


def _white(checkpoint: Checkpoint) -> float:
    """The value of white that the network sees, by the size of the mean that it does not use."""
    mean = checkpoint.tensors.get("sub_mean.bias")
    return 255.0 if mean is not None and mean.numel() and mean.abs().max() > 2 else 1.0


PANET_FORMAT = ConverterInfo(
    name="panet",
    recognize=lambda checkpoint: bool(PYRAMID.prefixes(checkpoint)),
    plan=_plan,
    hints=PANetHints,
    summary="state dicts of PANet's denoisers, of EDSR with pyramid attention, and of the attention alone",
    url="https://github.com/SHI-Labs/Pyramid-Attention-Networks",
    license="MIT",
)
