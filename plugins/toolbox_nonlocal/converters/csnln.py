"""CSNLN's state dicts."""

from __future__ import annotations

from typing import Any

from toolbox.plugin import MEAN_SHIFT, Checkpoint, Config, Conversion, ConverterInfo, WeightsError, mean_shift

MARK = "SEM.multi_source_projection.up_attention.conv_match_1.0.weight"
# Layers with a slope behind: ours in ``Exemplars``, and theirs.
EMBEDDINGS = {
    "cross_query": "up_attention.conv_match_1",
    "cross_key": "up_attention.conv_match_2",
    "cross_value": "up_attention.conv_assembly",
    "query": "down_attention.conv_match1",
    "key": "down_attention.conv_match2",
    "value": "down_attention.conv_assembly",
    "enlarge": "upsample",
}


class CSNLNHints(Config):
    """No hints: CSNLN's state dicts leave nothing open."""


def _plan(checkpoint: Checkpoint, hints: CSNLNHints) -> Conversion:
    width, colors = checkpoint.shape("head.0.0.weight")[:2]
    states, rest = divmod(checkpoint.shape("tail.0.weight")[1], width)
    if rest or not states:
        raise WeightsError(f"tail.0.weight takes {states * width + rest} channels, expected a multiple of {width}")
    twice = "SEM.multi_source_projection_2.up_attention.conv_match_1.0.weight" in checkpoint.tensors
    kernel = checkpoint.shape("SEM.down_sample_1.0.weight")[2]
    sources: dict[str, str] = {}
    for i in range(2):
        sources |= _with_slope(f"encoder.layers.{2 * i}", f"encoder.layers.{2 * i + 1}", f"head.{i}")
    sources |= _stage("decoder.stages.0", "multi_source_projection", "down_sample_1", "error_encode")
    if twice:
        sources |= _stage("decoder.stages.1", "multi_source_projection_2", "down_sample_3", "error_encode_2")
    for ours, theirs in (("reduce", "down_sample_4" if twice else "down_sample_2"), ("next", "post_conv")):
        sources |= _layer(f"decoder.{ours}", f"SEM.{theirs}")
    sources |= {f"decoder.conv.{kind}": f"tail.0.{kind}" for kind in ("weight", "bias")}
    spec: dict[str, Any] = {
        "summary": "converted from a CSNLN checkpoint",
        "channels": colors,
        "encoder": {"name": "prelu-convs", "channels": width, "layers": 2},
        "decoder": {
            "name": "self-exemplars",
            "scale": 4 if twice else 3 if kernel == 9 else 2,
            "steps": states,
        },
    }
    if "sub_mean.weight" in checkpoint.tensors:
        spec["normalization"] = mean_shift(checkpoint)
    found = [name for name in checkpoint.tensors if name.endswith(".up_attention.escape_NaN")]
    return Conversion(spec, sources, MEAN_SHIFT | frozenset(found))


def _stage(ours: str, exemplars: str, reduce: str, enlarge: str) -> dict[str, str]:
    sources = _layer(f"{ours}.reduce", f"SEM.{reduce}") | _layer(f"{ours}.enlarge", f"SEM.{enlarge}")
    for own, theirs in EMBEDDINGS.items():
        sources |= _layer(f"{ours}.exemplars.{own}", f"SEM.{exemplars}.{theirs}")
    error, body = f"{ours}.exemplars.error", f"SEM.{exemplars}.encoder.body"
    sources[f"{error}.1.weight"] = f"{body}.1.weight"
    for layer in (0, 2):
        sources |= {f"{error}.{layer}.{kind}": f"{body}.{layer}.{kind}" for kind in ("weight", "bias")}
    return sources


def _layer(ours: str, theirs: str) -> dict[str, str]:
    return _with_slope(f"{ours}.0", f"{ours}.1", theirs)


def _with_slope(layer: str, slope: str, theirs: str) -> dict[str, str]:
    sources = {f"{layer}.{kind}": f"{theirs}.0.{kind}" for kind in ("weight", "bias")}
    return {**sources, f"{slope}.weight": f"{theirs}.1.weight"}


CSNLN_FORMAT = ConverterInfo(
    name="csnln",
    recognize=lambda checkpoint: MARK in checkpoint.tensors,
    plan=_plan,
    hints=CSNLNHints,
    summary="CSNLN's state dicts",
    url="https://github.com/SHI-Labs/Cross-Scale-Non-Local-Attention",
)
