"""Attention across scales in published checkpoints, which CiaoSR and LM-CiaoSR share."""

from __future__ import annotations

from toolbox.conversion import Checkpoint
from toolbox.errors import WeightsError

SHRINKS = {2: "down", 3: "downx3", 4: "downx4"}  # by scale


def cross_scale_plan(
    checkpoint: Checkpoint, count: int, prefix: str = "cs_attn.", ours: str = "decoder.across."
) -> tuple[tuple[int, ...], dict[str, str], frozenset[str]]:
    """The scales of a ``CrossScaleAttention``, the published names of its tensors, and names to ignore.

    ``count`` is the number of scales, which follows from the layers behind it.

    Raises:
        WeightsError: there are convolutions for another number of scales.
    """
    present = tuple(scale for scale, name in SHRINKS.items() if f"{prefix}{name}.weight" in checkpoint.tensors)
    scales = present if len(present) == count else present[1:]  # the one for 2 always exists, used or not
    if len(scales) != count:
        raise WeightsError(f"{prefix!r} has convolutions for scales {list(present)}, expected {count} of them")
    layers = {"query": "conv_match_1", "key": "conv_match_2", "value": "conv_assembly"}
    names = {
        f"{ours}{own}.{part}": f"{prefix}{published}.{part}"
        for own, published in layers.items()
        for part in ("0.weight", "0.bias", "1.weight")
    }
    for i, scale in enumerate(scales):
        names |= {f"{ours}shrink.{i}.{kind}": f"{prefix}{SHRINKS[scale]}.{kind}" for kind in ("weight", "bias")}
    unused = {f"{prefix}{SHRINKS[scale]}.{kind}" for scale in present[:1] for kind in ("weight", "bias")}
    unused = unused if scales != present else set()
    return scales, names, frozenset({f"{prefix}escape_NaN", *unused})
