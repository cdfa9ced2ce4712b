"""SAFMN's published checkpoints."""

from __future__ import annotations

from typing import Any

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, WeightsError

KINDS = ("weight", "bias")
LAYERS = {"norm_a": "norm1", "norm_b": "norm2", "modulation.fusion": "safm.aggr"}
LAYERS |= {"mixing.0": "ccm.ccm.0", "mixing.2": "ccm.ccm.2"}


class SAFMNHints(Config):
    """No hints: SAFMN's state dicts leave nothing open."""


def _plan(checkpoint: Checkpoint, hints: SAFMNHints) -> Conversion:
    width, channels = checkpoint.shape("to_feat.weight")[:2]
    blocks, levels = checkpoint.count("feats.{}.norm1.weight"), checkpoint.count("feats.0.safm.mfr.{}.weight")
    colors = checkpoint.shape("to_img.0.weight")[0]
    scale = round((colors / channels) ** 0.5)
    if scale not in (2, 3, 4, 8) or scale**2 * channels != colors:
        raise WeightsError(f"to_img.0.weight gives {colors} channels, expected {channels} times 4, 9, 16 or 64")
    layers = {"encoder.head": "to_feat", "decoder.conv": "to_img.0"}
    for block in range(blocks):
        ours, theirs = f"encoder.blocks.{block}", f"feats.{block}"
        layers |= {f"{ours}.{own}": f"{theirs}.{name}" for own, name in LAYERS.items()}
        layers |= {f"{ours}.modulation.filters.{level}": f"{theirs}.safm.mfr.{level}" for level in range(levels)}
    spec: dict[str, Any] = {
        "summary": "converted from a SAFMN checkpoint",
        "channels": channels,
        "encoder": {
            "name": "safmn",
            "channels": width,
            "blocks": blocks,
            "levels": levels,
            "hidden": checkpoint.shape("feats.0.ccm.ccm.0.weight")[0],
        },
        "decoder": {"name": "pixel-shuffle-direct", "scale": scale},
    }
    return Conversion(spec, {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in layers.items() for kind in KINDS})


SAFMN_FORMAT = ConverterInfo(
    name="safmn",
    recognize=lambda checkpoint: {"to_feat.weight", "feats.0.safm.mfr.0.weight"} <= checkpoint.tensors.keys(),
    plan=_plan,
    hints=SAFMNHints,
    summary="SAFMN's .pth files and state dicts",
    url="https://github.com/sunny2109/SAFMN",
    license="Apache-2.0",
)
