"""LMF's checkpoints: LM-LIIF, LM-LTE and LM-CiaoSR, recognized by their tensor names."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from toolbox.plugin import (
    HALF,
    Checkpoint,
    Config,
    Conversion,
    ConverterInfo,
    TensorSource,
    WeightsError,
    cross_scale_plan,
    encoder_plan,
)

Sources = dict[str, str | TensorSource]


class LMFHints(Config):
    """Settings that a state dict leaves open."""

    largest_scale: float | None = Field(default=4, gt=0)  # null: the cell is never clipped


def _plan(checkpoint: Checkpoint, hints: LMFHints) -> Conversion:
    encoder, names, ignored = encoder_plan(checkpoint, "encoder.")
    features = encoder["channels"]
    attends, waves = "hypernet_q.layers.0.weight" in checkpoint.tensors, "imphase.weight" in checkpoint.tensors
    render = "imnet_q" if attends else "imnet"
    decoder, sources = _render_plan(checkpoint, render)
    name, plan = ("LM-CiaoSR", _attention) if attends else ("LM-LTE", _texture) if waves else ("LM-LIIF", _ensemble)
    own, own_sources, own_ignored = plan(checkpoint, features, 2 * decoder["depth"] * decoder["width"])
    spec: dict[str, Any] = {
        "summary": f"converted from an {name} checkpoint",
        "channels": checkpoint.shape(f"{render}.layers.{2 * decoder['depth']}.weight", 2)[0],
        "normalization": HALF,
        "global_skip": "bilinear" if attends or waves else "none",
        "encoder": encoder,
        "decoder": {**own, **decoder, "largest_scale": hints.largest_scale},
    }
    return Conversion(spec, {**names, **sources, **own_sources}, ignored | own_ignored)


def _render_plan(checkpoint: Checkpoint, published: str) -> tuple[dict[str, Any], Sources]:
    """Settings of the render network, and the sources of its tensors."""
    widths, layers = _mlp(checkpoint, published, "")
    depth = len(widths) - 2
    if depth < 1:
        raise WeightsError(f"missing '{published}.layers.2.weight', which says what the rest of the network is")
    names = ["first", *(f"hidden.{i}" for i in range(depth - 1)), "last"]
    sources: Sources = {
        f"decoder.render.{name}.{kind}": layers[f".{2 * i}.{kind}"]
        for i, name in enumerate(names)
        for kind in ("weight", "bias")
    }
    return {"width": widths[1], "depth": depth}, sources


def _ensemble(checkpoint: Checkpoint, features: int, modulations: int) -> tuple[Any, Sources, frozenset[str]]:
    widths, sources = _mlp(checkpoint, "hypernet", "decoder.latent", first=1, shift=-1)
    name, content = "hypernet.layers.0.weight", 9 * features
    shapes = ((widths[1], content + 2),)
    sources["decoder.content.weight"] = TensorSource((name,), shapes, partial(_content, features=features))
    sources["decoder.content.bias"] = "hypernet.layers.0.bias"
    sources["decoder.cell.weight"] = TensorSource((name,), shapes, partial(_rest, count=content))
    code = widths[-1] - modulations
    own = {"name": "modulated-ensemble", "code": code or None, "latent": widths[1:-1]}
    return own, sources, frozenset()


def _texture(checkpoint: Checkpoint, features: int, modulations: int) -> tuple[Any, Sources, frozenset[str]]:
    widths, sources = _mlp(checkpoint, "hypernet", "decoder.latent")
    last = 2 * (len(widths) - 2)
    code = checkpoint.shape("imphase.weight", 2)[0]
    waves = checkpoint.shape("coef.weight")[0]
    for kind, kernel, row in (("weight", (features, 3, 3), (widths[-2],)), ("bias", (), ())):
        sources[f"decoder.amplitude.{kind}"] = f"coef.{kind}"
        name, shapes = f"freq.{kind}", ((waves, *kernel),)
        sources[f"decoder.frequency.{kind}"] = TensorSource((name,), shapes, partial(_sorted, count=waves))
        name, shapes = f"hypernet.layers.{last}.{kind}", ((widths[-1], *row),)
        sources[f"decoder.latent.{last}.{kind}"] = TensorSource((name,), shapes, partial(_sorted, count=2 * code))
    sources |= {"decoder.phase.weight": "phase.weight", "decoder.code_phase.weight": "imphase.weight"}
    own = {
        "name": "modulated-texture",
        "frequencies": checkpoint.shape("phase.weight", 2)[0],
        "code_frequencies": code,
        "latent": widths[1:-1],
    }
    return own, sources, frozenset()


def _attention(checkpoint: Checkpoint, features: int, modulations: int) -> tuple[Any, Sources, frozenset[str]]:
    widths, sources = _mlp(checkpoint, "hypernet_q", "decoder.latent")
    for published, ours in (("imnet_k", "keys"), ("imnet_v", "values"), ("prenet_q", "queries")):
        (_, *attended, _), own_sources = _mlp(checkpoint, published, f"decoder.{ours}")
        sources |= own_sources
    scales, names, ignored = cross_scale_plan(checkpoint, widths[0] // features - 4)
    own = {
        "name": "modulated-attention",
        "code": widths[-1] - modulations,
        "attended": attended,
        "latent": widths[1:-1],
        "scales": scales,
    }
    return own, {**sources, **names}, ignored


def _mlp(
    checkpoint: Checkpoint, published: str, ours: str, *, first: int = 0, shift: int = 0
) -> tuple[list[int], Sources]:
    """The channels before, between and after the layers of a published MLP, and the sources of ours from ``first`` on.

    The published layers have even numbers. Ours have the same plus ``shift``.
    """
    count = 0
    while f"{published}.layers.{2 * count}.weight" in checkpoint.tensors:
        count += 1
    shapes = [checkpoint.shape(f"{published}.layers.{2 * i}.weight", 2) for i in range(max(1, count))]
    sources: Sources = {
        f"{ours}.{2 * i + shift}.{kind}": f"{published}.layers.{2 * i}.{kind}"
        for i in range(first, count)
        for kind in ("weight", "bias")
    }
    return [shapes[0][1], *(shape[0] for shape in shapes)], sources


def _content(weight: Tensor, features: int) -> Tensor:
    return weight[:, : 9 * features].reshape(len(weight), features, 3, 3)


def _rest(weight: Tensor, count: int) -> Tensor:
    return weight[:, count:]


def _sorted(rows: Tensor, count: int) -> Tensor:
    """The last ``count`` rows alternate between vertical and horizontal frequencies; vertical ones go first."""
    return torch.cat((rows[:-count], rows[-count::2], rows[-count + 1 :: 2]))


def _recognize(checkpoint: Checkpoint) -> bool:
    first = {"hypernet.layers.0.weight", "hypernet_q.layers.0.weight"}
    return bool(first & checkpoint.tensors.keys())


LMF_FORMAT = ConverterInfo(
    name="lmf",
    recognize=_recognize,
    plan=_plan,
    hints=LMFHints,
    summary="LM-LIIF's, LM-LTE's and LM-CiaoSR's .pth files and state dicts, on EDSR or RDN",
    url="https://github.com/HeZongyao/LMF",
    license="Apache-2.0",
)
