"""Restormer's checkpoints, small, with the names of the published code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.weights.published import Arrays, Published, array, network


def restormer(norm: str = "with-bias", channels: int = 3, refinement: int = 1) -> Published:
    """A U-net of three levels."""
    encoder = {
        "name": "restormer",
        "channels": 4,
        "blocks": [1, 2, 1],
        "heads": [1, 2, 4],
        "refinement": refinement,
        "norm": norm,
    }
    decoder = {"name": "conv", "bias": False}
    restorer = network({"channels": channels, "global_skip": "bicubic", "encoder": encoder, "decoder": decoder})
    ours = restorer.encoder
    convs = {
        "patch_embed.proj": ours.embed,
        "down1_2.body.0": ours.downs[0],
        "down2_3.body.0": ours.downs[1],
        "up3_2.body.0": ours.ups[0],
        "up2_1.body.0": ours.ups[1],
        "reduce_chan_level2": ours.reduces[0],
        "output": restorer.decoder.conv,
    }
    groups = {
        "encoder_level1": ours.encoders[0],
        "encoder_level2": ours.encoders[1],
        "latent": ours.latent,
        "decoder_level2": ours.decoders[0],
        "decoder_level1": ours.decoders[1],
        "refinement": ours.refinement,
    }
    arrays = {f"{name}.weight": array(conv.weight) for name, conv in convs.items()}
    for name, blocks in groups.items():
        for number, block in enumerate(blocks):
            arrays |= dict(_block(f"{name}.{number}", block))
    return Published(restorer, arrays)


def mdta_alone() -> Published:
    """The attention by itself."""
    block = {"name": "mdta", "heads": 2, "skip": False}
    restorer = network({"channels": 4, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"})
    return Published(restorer, _attention("", restorer.encoder.nonlocal_block.attention))


def block_alone(norm: str = "with-bias") -> Published:
    """A transformer block by itself."""
    block = {"name": "restormer-block", "heads": 2, "norm": norm}
    restorer = network({"channels": 4, "encoder": {"name": "nonlocal", "nonlocal": block}, "decoder": "features"})
    arrays = {name.removeprefix("."): array for name, array in _block("", restorer.encoder.nonlocal_block.block)}
    return Published(restorer, arrays)


def _block(name: str, block: Any) -> Iterator[tuple[str, Any]]:
    yield from _attention(f"{name}.attn.", block.attention).items()
    network = block.feed_forward
    for theirs, conv in (
        ("project_in", network.expand),
        ("dwconv", network.depthwise),
        ("project_out", network.project),
    ):
        yield f"{name}.ffn.{theirs}.weight", array(conv.weight)
    for theirs, norm in (("norm1", block.norm_a), ("norm2", block.norm_b)):
        yield f"{name}.{theirs}.body.weight", array(norm.weight)
        if norm.bias is not None:
            yield f"{name}.{theirs}.body.bias", array(norm.bias)


def _attention(prefix: str, module: Any) -> Arrays:
    return {
        f"{prefix}qkv.weight": array(module.qkv.weight),
        f"{prefix}temperature": array(module.temperature),
        f"{prefix}qkv_dwconv.weight": array(module.depthwise.weight),
        f"{prefix}project_out.weight": array(module.project.weight),
    }


FORMATS: dict[str, Callable[[], Published]] = {"restormer": restormer}
VARIANTS: dict[str, Callable[[], Published]] = {
    "restormer": restormer,
    "restormer-denoise-gray": lambda: restormer("without-bias", 1),
    "restormer-without-refinement": lambda: restormer(refinement=0),
    "mdta": mdta_alone,
    "restormer-block": block_alone,
    "restormer-block-without-bias": lambda: block_alone("without-bias"),
}
