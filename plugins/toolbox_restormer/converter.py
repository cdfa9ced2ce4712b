"""Restormer's published checkpoints, and the state dicts of its attention and of its transformer block alone.

The authors' code and weights are under an Academic Public License, for uses that are not commercial.
"""

from __future__ import annotations

import re
from typing import Any

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, WeightsError

NORM = "encoder_level1.0.norm1.body.weight"
ALONE = frozenset(("temperature", "qkv.weight", "qkv_dwconv.weight", "project_out.weight"))
BLOCK_ALONE = frozenset(("norm1.body.weight", "attn.temperature", "ffn.project_in.weight"))
ATTENTION = {
    "temperature": "temperature",
    "qkv.weight": "qkv.weight",
    "depthwise.weight": "qkv_dwconv.weight",
    "project.weight": "project_out.weight",
}


class RestormerHints(Config):
    """No hints: Restormer's state dicts leave nothing open."""


def _plan(checkpoint: Checkpoint, hints: RestormerHints) -> Conversion:
    if checkpoint.tensors.keys() >= ALONE:
        return _attention_alone(checkpoint)
    if checkpoint.tensors.keys() >= BLOCK_ALONE:
        return _block_alone(checkpoint)
    channels, colors = checkpoint.shape("patch_embed.proj.weight")[:2]
    levels = 1 + sum(bool(re.fullmatch(r"down\d+_\d+\.body\.0\.weight", name)) for name in checkpoint.tensors)
    names = [f"encoder_level{level}" for level in range(1, levels)] + ["latent"]
    blocks = [checkpoint.count(f"{name}.{{}}.attn.temperature") for name in names]
    if not all(blocks):
        raise WeightsError(f"missing '{names[blocks.index(0)]}.0.attn.temperature', which determines a level's blocks")
    heads = [checkpoint.shape(f"{name}.0.attn.temperature", 3)[0] for name in names]
    hidden = checkpoint.shape("encoder_level1.0.ffn.project_out.weight")[1]
    bias = any(re.fullmatch(r".*\.norm[12]\.body\.bias", name) for name in checkpoint.tensors)
    refinement = checkpoint.count("refinement.{}.attn.temperature")
    spec: dict[str, Any] = {
        "summary": "converted from a Restormer checkpoint, whose license is for uses that are not commercial",
        "channels": colors,
        "global_skip": "bicubic",  # of the same size, so the image itself
        "encoder": {
            "name": "restormer",
            "channels": channels,
            "blocks": blocks,
            "refinement": refinement,
            "heads": heads,
            "expansion": _expansion(channels, hidden),
            "norm": "with-bias" if bias else "without-bias",
        },
        "decoder": {"name": "conv", "bias": False},
    }
    sources = {"encoder.embed.weight": "patch_embed.proj.weight"}
    for level in range(1, levels):
        up = levels - 1 - level  # ours count from the lowest level
        sources |= {
            f"encoder.downs.{level - 1}.weight": f"down{level}_{level + 1}.body.0.weight",
            f"encoder.ups.{up}.weight": f"up{level + 1}_{level}.body.0.weight",
            **_blocks(f"encoder.encoders.{level - 1}", f"encoder_level{level}", blocks[level - 1], bias),
            **_blocks(f"encoder.decoders.{up}", f"decoder_level{level}", blocks[level - 1], bias),
        }
        if level > 1:
            sources[f"encoder.reduces.{up}.weight"] = f"reduce_chan_level{level}.weight"
    sources |= _blocks("encoder.latent", "latent", blocks[-1], bias)
    sources |= _blocks("encoder.refinement", "refinement", refinement, bias)
    sources["decoder.conv.weight"] = "output.weight"
    return Conversion(spec, sources)


def _attention_alone(checkpoint: Checkpoint) -> Conversion:
    channels, heads = checkpoint.shape("project_out.weight")[0], checkpoint.shape("temperature", 3)[0]
    spec = {
        "summary": "converted from the attention of Restormer",
        "channels": channels,
        "encoder": {"name": "nonlocal", "nonlocal": {"name": "mdta", "heads": heads, "skip": False}},
        "decoder": "features",
    }
    return Conversion(spec, {f"encoder.nonlocal_block.attention.{own}": name for own, name in ATTENTION.items()})


def _block_alone(checkpoint: Checkpoint) -> Conversion:
    channels, heads = checkpoint.shape("norm1.body.weight", 1)[0], checkpoint.shape("attn.temperature", 3)[0]
    bias = "norm1.body.bias" in checkpoint.tensors
    block = {
        "name": "restormer-block",
        "heads": heads,
        "expansion": _expansion(channels, checkpoint.shape("ffn.project_in.weight")[0] // 2),
        "norm": "with-bias" if bias else "without-bias",
    }
    spec = {
        "summary": "converted from a block of Restormer",
        "channels": channels,
        "encoder": {"name": "nonlocal", "nonlocal": block},
        "decoder": "features",
    }
    return Conversion(spec, {f"encoder.nonlocal_block.block.{own}": name for own, name in _layers(bias).items()})


def _expansion(channels: int, hidden: int) -> float:
    """A factor that gives the hidden channels of every level: the published one if it does."""
    return 2.66 if int(channels * 2.66) == hidden else hidden / channels


def _blocks(ours: str, theirs: str, count: int, bias: bool) -> dict[str, str]:
    layers = _layers(bias)
    return {f"{ours}.{i}.{own}": f"{theirs}.{i}.{name}" for i in range(count) for own, name in layers.items()}


def _layers(bias: bool) -> dict[str, str]:
    """The tensors of a transformer block, ours and theirs."""
    layers = {f"attention.{own}": f"attn.{name}" for own, name in ATTENTION.items()}
    layers |= {
        "feed_forward.expand.weight": "ffn.project_in.weight",
        "feed_forward.depthwise.weight": "ffn.dwconv.weight",
        "feed_forward.project.weight": "ffn.project_out.weight",
    }
    for own, name in (("norm_a", "norm1"), ("norm_b", "norm2")):
        layers |= {f"{own}.{kind}": f"{name}.body.{kind}" for kind in ("weight", "bias")[: 1 + bias]}
    return layers


RESTORMER_FORMAT = ConverterInfo(
    name="restormer",
    recognize=lambda checkpoint: (
        NORM in checkpoint.tensors or any(checkpoint.tensors.keys() >= alone for alone in (ALONE, BLOCK_ALONE))
    ),
    plan=_plan,
    hints=RestormerHints,
    summary="Restormer's .pth files and state dicts; its authors' weights are not for commercial use",
    url="https://github.com/swz30/Restormer",
    license="Academic Public License, not for commercial use",
)
