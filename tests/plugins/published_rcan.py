"""RCAN's checkpoints, small, in the naming of its authors and of BasicSR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.weights.published import Arrays, Published, array, as_stored, mean_shift, network

SMALL = {"name": "rcan", "channels": 6, "groups": 2, "blocks": 3, "reduction": 3}
SHIFTED = {"mean": [0.4488, 0.4371, 0.404], "std": 1 / 255}


def rcan(scale: int, naming: str) -> Published:
    """RCAN's, with the mean shift as it was before training in the authors' files."""
    decoder = {"name": "pixel-shuffle", "scale": scale, "channels": 6}
    restorer = network({"channels": 3, "normalization": SHIFTED, "encoder": SMALL, "decoder": decoder})
    if naming == "authors":
        return Published(restorer, _authors(restorer) | mean_shift(255.0))
    return Published(restorer, _basicsr(restorer))


def _authors(restorer: Any) -> Arrays:
    encoder = restorer.encoder
    layers = [("head.0", encoder.head), ("body.2", encoder.tail), ("tail.1", restorer.decoder.conv)]
    arrays: Arrays = {}
    for g, group in enumerate(encoder.groups):
        layers.append((f"body.{g}.body.3", group.tail))
        for b, block in enumerate(group.blocks):
            own = f"body.{g}.body.{b}.body"
            layers += [(f"{own}.0", block.first), (f"{own}.2", block.second)]
            arrays |= _linear(f"{own}.3.conv_du.0", block.attention.squeeze)
            arrays |= _linear(f"{own}.3.conv_du.2", block.attention.excite)
    return as_stored([*layers, *_stages("tail.0", restorer.decoder)]) | arrays


def _basicsr(restorer: Any) -> Arrays:
    encoder = restorer.encoder
    layers = [
        ("conv_first", encoder.head),
        ("conv_after_body", encoder.tail),
        ("conv_last", restorer.decoder.conv),
    ]
    arrays: Arrays = {}
    for g, group in enumerate(encoder.groups):
        layers.append((f"body.{g}.conv", group.tail))
        for b, block in enumerate(group.blocks):
            own = f"body.{g}.residual_group.{b}.rcab"
            layers += [(f"{own}.0", block.first), (f"{own}.2", block.second)]
            arrays |= _linear(f"{own}.3.attention.1", block.attention.squeeze)
            arrays |= _linear(f"{own}.3.attention.3", block.attention.excite)
    return as_stored([*layers, *_stages("upsample", restorer.decoder)]) | arrays


def _linear(name: str, layer: nn.Linear) -> Arrays:
    """A linear layer as the 1×1 convolution that it is in the file."""
    return {f"{name}.weight": array(layer.weight)[:, :, None, None], f"{name}.bias": array(layer.bias)}


def _stages(name: str, decoder: Any) -> list[tuple[str, Any]]:
    return [(f"{name}.{i}", stage) for i, stage in enumerate(decoder.upscale) if isinstance(stage, nn.Conv2d)]


FORMATS: dict[str, Callable[[], Published]] = {"rcan": lambda: rcan(2, "authors")}
VARIANTS: dict[str, Callable[[], Published]] = {
    "rcan-x2": lambda: rcan(2, "authors"),
    "rcan-x3": lambda: rcan(3, "authors"),
    "rcan-x8": lambda: rcan(8, "authors"),
    "rcan-basicsr-x2": lambda: rcan(2, "basicsr"),
    "rcan-basicsr-x3": lambda: rcan(3, "basicsr"),
    "rcan-basicsr-x4": lambda: rcan(4, "basicsr"),
}
