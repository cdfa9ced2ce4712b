"""RDN's state dicts, in the naming of RDN-PyTorch and of the LIIF and DIINN repositories."""

from __future__ import annotations

from typing import Any

from toolbox.config import Config
from toolbox.conversion import Checkpoint, Conversion
from toolbox.records import ConverterInfo


class RDNHints(Config):
    """No hints: an RDN state dict leaves nothing open."""


def encoder_plan(checkpoint: Checkpoint, prefix: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """The spec of an RDN encoder and the published names of its tensors, for a prefix of those names."""
    blocks = checkpoint.count(prefix + "RDBs.{}.LFF.weight")
    layers = checkpoint.count(prefix + "RDBs.0.convs.{}.conv.0.weight")
    growth = checkpoint.shape(f"{prefix}RDBs.0.convs.0.conv.0.weight")[0]
    channels = checkpoint.shape(f"{prefix}SFENet1.weight")[0]
    names = {}
    for kind in ("weight", "bias"):
        names[f"encoder.shallow_a.{kind}"] = f"{prefix}SFENet1.{kind}"
        names[f"encoder.shallow_b.{kind}"] = f"{prefix}SFENet2.{kind}"
        for block in range(blocks):
            names[f"encoder.blocks.{block}.fusion.{kind}"] = f"{prefix}RDBs.{block}.LFF.{kind}"
            for layer in range(layers):
                ours = f"encoder.blocks.{block}.convs.{layer}.{kind}"
                names[ours] = f"{prefix}RDBs.{block}.convs.{layer}.conv.0.{kind}"
        for stage in (0, 1):
            names[f"encoder.fusion.{stage}.{kind}"] = f"{prefix}GFF.{stage}.{kind}"
    return {"name": "rdn", "channels": channels, "blocks": blocks, "layers": layers, "growth": growth}, names


def _plan(checkpoint: Checkpoint, hints: RDNHints) -> Conversion:
    encoder, sources = encoder_plan(checkpoint)
    spec: dict[str, Any] = {
        "summary": "converted from an RDN checkpoint",
        "channels": checkpoint.shape("SFENet1.weight")[1],
        "encoder": encoder,
    }
    if "UPNet.0.weight" not in checkpoint.tensors:
        spec |= {"decoder": "features", "output_channels": encoder["channels"]}
        return Conversion(spec, sources)
    doubled = "UPNet.4.weight" in checkpoint.tensors  # two stages of ×2
    last = 4 if doubled else 2
    growth = checkpoint.shape(f"UPNet.{last}.weight")[1]
    scale = 4 if doubled else round((checkpoint.shape("UPNet.0.weight")[0] / growth) ** 0.5)
    spec["decoder"] = {"name": "pixel-shuffle", "scale": scale, "channels": growth}
    for kind in ("weight", "bias"):
        for stage in (0, 2) if doubled else (0,):
            sources[f"decoder.upscale.{stage}.{kind}"] = f"UPNet.{stage}.{kind}"
        sources[f"decoder.conv.{kind}"] = f"UPNet.{last}.{kind}"
    return Conversion(spec, sources)


RDN_FORMAT = ConverterInfo(
    name="rdn",
    recognize=lambda checkpoint: {"SFENet1.weight", "GFF.0.weight"} <= checkpoint.tensors.keys(),
    plan=_plan,
    hints=RDNHints,
    summary="RDN state dicts, with an upsampler or features alone",
    url="https://github.com/sanghyun-son/EDSR-PyTorch",
    license="MIT",
)
