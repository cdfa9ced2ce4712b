"""Meta-SR's checkpoints, in the naming of the LIIF and DIINN repositories."""

from __future__ import annotations

from typing import Any

from toolbox.plugin import HALF, Checkpoint, Config, Conversion, ConverterInfo, encoder_plan


class MetaSRHints(Config):
    """No hints: a Meta-SR checkpoint leaves nothing open."""


def _plan(checkpoint: Checkpoint, hints: MetaSRHints) -> Conversion:
    encoder, names, ignored = encoder_plan(checkpoint, "encoder.")
    filters, hidden = checkpoint.shape("imnet.layers.2.weight", 2)
    spec: dict[str, Any] = {
        "summary": "converted from a Meta-SR checkpoint",
        "channels": max(1, filters // (9 * encoder["channels"])),
        "normalization": HALF,
        "encoder": encoder,
        "decoder": {"name": "meta-upscale", "hidden": hidden},
    }
    layers = {
        f"decoder.{ours}.{kind}": f"imnet.layers.{layer}.{kind}"
        for ours, layer in (("hidden", 0), ("filters", 2))
        for kind in ("weight", "bias")
    }
    return Conversion(spec, {**names, **layers}, ignored)


def _recognize(checkpoint: Checkpoint) -> bool:
    first = checkpoint.tensors.get("imnet.layers.0.weight")
    return first is not None and first.ndim == 2 and first.shape[1] == 3


METASR_FORMAT = ConverterInfo(
    name="metasr",
    recognize=_recognize,
    plan=_plan,
    hints=MetaSRHints,
    summary="Meta-SR state dicts of the LIIF and DIINN repositories, on EDSR or RDN",
    url="https://github.com/yinboc/liif",
    license="BSD-3-Clause",
)
