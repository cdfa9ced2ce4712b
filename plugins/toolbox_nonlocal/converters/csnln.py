"""CSNLN's state dicts, and that of its attention across scales alone."""

from __future__ import annotations

from typing import Any, Literal

from toolbox.plugin import MEAN_SHIFT, Checkpoint, Config, Conversion, ConverterInfo, WeightsError, mean_shift

MARK = "SEM.multi_source_projection.up_attention.conv_match_1.0.weight"
ALONE = frozenset(("conv_match_1.0.weight", "conv_match_2.0.weight", "conv_assembly.0.weight"))
# Layers with a slope behind: ours in ``Exemplars``, and theirs.
EMBEDDINGS = {
    "across.query": "up_attention.conv_match_1",
    "across.key": "up_attention.conv_match_2",
    "across.value": "up_attention.conv_assembly",
    "query": "down_attention.conv_match1",
    "key": "down_attention.conv_match2",
    "value": "down_attention.conv_assembly",
    "enlarge": "upsample",
}


class CSNLNHints(Config):
    """A setting that the attention alone leaves open."""

    scale: Literal[2, 3, 4] = 2  # of the attention alone; a whole network tells its own


def _plan(checkpoint: Checkpoint, hints: CSNLNHints) -> Conversion:
    if checkpoint.tensors.keys() >= ALONE:
        return _attention_alone(checkpoint, hints.scale)
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
        "encoder": {"name": "convolutions", "channels": [width, width], "activation": "prelu", "slope": 0.25},
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


def _attention_alone(checkpoint: Checkpoint, scale: int) -> Conversion:
    layers = {"query": "conv_match_1", "key": "conv_match_2", "value": "conv_assembly"}
    sources = [_with_slope(f"decoder.across.{own}.0", f"decoder.across.{own}.1", name) for own, name in layers.items()]
    spec: dict[str, Any] = {
        "summary": "converted from the attention across scales of CSNLN alone",
        "channels": checkpoint.shape("conv_assembly.0.weight")[0],
        "encoder": "identity",
        "decoder": {"name": "exemplars", "scale": scale},
    }
    return Conversion(spec, {ours: name for each in sources for ours, name in each.items()}, frozenset(("escape_NaN",)))


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
    recognize=lambda checkpoint: MARK in checkpoint.tensors or checkpoint.tensors.keys() >= ALONE,
    plan=_plan,
    hints=CSNLNHints,
    summary="state dicts of CSNLN, and of its attention across scales alone",
    url="https://github.com/SHI-Labs/Cross-Scale-Non-Local-Attention",
    license="MIT",
)
