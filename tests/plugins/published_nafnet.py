"""NAFNet's checkpoints, small, as the published code names what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.weights.published import Arrays, Published, array, as_stored, network

UNET = {"name": "nafnet", "channels": 4, "encoder_blocks": [1, 2], "middle_blocks": 1, "decoder_blocks": [2, 1]}
LINEAR = {"conv1": "expand1", "conv3": "project1", "sca.1": "attention", "conv4": "expand2", "conv5": "project2"}


def nafnet(local: tuple[int, int] | None = None) -> Published:
    """The U-net's."""
    encoder = {**UNET, "local": local}
    restorer = network({"channels": 3, "global_skip": "bilinear", "encoder": encoder, "decoder": "conv"})
    inner = restorer.encoder
    layers = [("intro", inner.intro), ("ending", restorer.decoder.conv)]
    layers += [(f"downs.{level}", down) for level, down in enumerate(inner.downs)]
    arrays = as_stored(layers)
    for level, up in enumerate(inner.ups):
        arrays[f"ups.{level}.0.weight"] = array(up.weight)
    for part in ("encoders", "decoders"):
        for level, blocks in enumerate(getattr(inner, part)):
            for b, block in enumerate(blocks):
                arrays |= naf_block(block, f"{part}.{level}.{b}.")
    arrays |= naf_block(inner.middle[0], "middle_blks.0.")
    return Published(restorer, arrays, {} if local is None else {"local": local})


def nafssr(scale: int) -> Published:
    """NAFSSR's for one view."""
    restorer = network(
        {
            "channels": 3,
            "global_skip": "bilinear",
            "encoder": {"name": "naf", "channels": 4, "blocks": 3},
            "decoder": {"name": "pixel-shuffle-direct", "scale": scale},
        }
    )
    arrays = as_stored([("intro", restorer.encoder.intro), ("up.0", restorer.decoder.conv)])
    for b, block in enumerate(restorer.encoder.blocks):
        arrays |= naf_block(block, f"body.{b}.module.blk.")
    return Published(restorer, arrays)


def block_alone() -> Published:
    """A block by itself, for which ours has a convolution that changes nothing."""
    restorer = network({"channels": 4, "encoder": {"name": "naf", "channels": 4, "blocks": 1}, "decoder": "features"})
    nn.init.dirac_(restorer.encoder.intro.weight)
    nn.init.zeros_(restorer.encoder.intro.bias)
    return Published(restorer, naf_block(restorer.encoder.blocks[0]))


def naf_block(block: Any, prefix: str = "") -> Arrays:
    """A block's tensors: linear layers are 1×1 convolutions in the file, and the gains have four axes."""
    arrays = as_stored([(f"{prefix}{name}", getattr(block, name)) for name in ("norm1", "norm2")])
    arrays |= as_stored([(f"{prefix}conv2", block.depthwise)])
    for published, ours in LINEAR.items():
        layer = getattr(block, ours)
        arrays[f"{prefix}{published}.weight"] = array(layer.weight)[:, :, None, None]
        arrays[f"{prefix}{published}.bias"] = array(layer.bias)
    for gain in ("beta", "gamma"):
        arrays[f"{prefix}{gain}"] = array(getattr(block, gain))[None, :, None, None]
    return arrays


FORMATS: dict[str, Callable[[], Published]] = {"nafnet": nafnet}
VARIANTS: dict[str, Callable[[], Published]] = {
    "nafnet": nafnet,
    "nafnet-local": lambda: nafnet((12, 16)),
    "nafssr-x2": lambda: nafssr(2),
    "nafssr-x4": lambda: nafssr(4),
    "naf-block": block_alone,
}
