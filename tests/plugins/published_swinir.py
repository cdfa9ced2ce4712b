"""SwinIR's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.weights.published import Arrays, Published, array, as_stored, network

MEAN = [0.4488, 0.4371, 0.404]
BLOCK = {
    "norm1": "attention_norm",
    "attn.qkv": "qkv",
    "attn.proj": "projection",
    "norm2": "mlp_norm",
    "mlp.fc1": "widen",
    "mlp.fc2": "narrow",
}


def swinir(decoder: Any, channels: int = 3, connection: str = "1conv", window: int = 4, **more: Any) -> Published:
    """SwinIR's with one of its heads; the shapes of the buffers are those of the published code for 8 × 8 pixels."""
    normalization: Any = {"mean": MEAN if channels == 3 else 0.0, "std": 1 / 255 if window == 7 else 1.0}
    settings: Any = {"channels": 8, "depths": [2, 1], "heads": [2, 4], "hidden": 12}
    restorer: Any = network(
        {
            "channels": channels,
            "normalization": normalization,
            "encoder": {"name": "swinir", **settings, "window": window, "connection": connection},
            "decoder": decoder,
            **more,
        }
    )
    ours = restorer.encoder
    layers = [("conv_first", ours.shallow), ("patch_embed.norm", ours.first_norm), ("norm", ours.last_norm)]
    arrays: Arrays = {}
    for i, group in enumerate(ours.groups):
        for j, block in enumerate(group.blocks):
            name = f"layers.{i}.residual_group.blocks.{j}"
            layers += [(f"{name}.{theirs}", getattr(block, own)) for theirs, own in BLOCK.items()]
            arrays[f"{name}.attn.relative_position_bias_table"] = array(block.bias)
            arrays[f"{name}.attn.relative_position_index"] = np.zeros((window**2, window**2), np.int64)
            if j % 2:
                arrays[f"{name}.attn_mask"] = np.zeros((4, window**2, window**2), np.float32)
    for name, part in [("conv_after_body", ours.convolutions)] + [
        (f"layers.{i}.conv", group.convolutions) for i, group in enumerate(ours.groups)
    ]:
        layers += [(name, part)] if connection == "1conv" else [(f"{name}.{i}", part[i]) for i in (0, 2, 4)]
    return Published(restorer, arrays | as_stored(layers + head(decoder["name"], restorer.decoder)))


def head(name: str, ours: Any) -> list[tuple[str, Any]]:
    """The layers behind the features, by their published names."""
    if name == "pixel-shuffle-direct":
        return [("upsample.0", ours.conv)]
    if name == "conv":
        return [("conv_last", ours.conv)]
    if name == "pixel-shuffle":
        stages = [(f"upsample.{i}", stage) for i, stage in enumerate(ours.upscale) if hasattr(stage, "weight")]
        return [("conv_before_upsample.0", ours.first[0]), *stages, ("conv_last", ours.conv)]
    enlarged = [(f"conv_up{i}", conv) for i, conv in enumerate(ours.enlarged, 1)]
    return [("conv_before_upsample.0", ours.first), *enlarged, ("conv_hr", ours.fine), ("conv_last", ours.last)]


def direct(scale: int) -> Callable[[], Published]:
    return lambda: swinir({"name": "pixel-shuffle-direct", "scale": scale})


def classical(scale: int) -> Callable[[], Published]:
    return lambda: swinir({"name": "pixel-shuffle", "scale": scale, "channels": 5, "first": 5})


def real(scale: int, connection: str) -> Callable[[], Published]:
    return lambda: swinir({"name": "nearest-conv", "scale": scale, "channels": 5}, connection=connection)


def same_size(channels: int, window: int = 4) -> Callable[[], Published]:
    return lambda: swinir({"name": "conv"}, channels, window=window, global_skip="bicubic")


def without_buffers() -> Published:
    """Every tensor of this one is needed."""
    case = direct(2)()
    arrays = {name: array for name, array in case.arrays.items() if not name.endswith(("_index", "_mask"))}
    return Published(case.restorer, arrays)


FORMATS: dict[str, Callable[[], Published]] = {"swinir": without_buffers}
VARIANTS: dict[str, Callable[[], Published]] = {
    **{f"swinir-light-x{scale}": direct(scale) for scale in (2, 3, 4)},
    **{f"swinir-x{scale}": classical(scale) for scale in (2, 3, 4, 8)},
    "swinir-real-x2": real(2, "1conv"),
    "swinir-real-x4": real(4, "1conv"),
    "swinir-real-large-x4": real(4, "3conv"),
    "swinir-denoise-gray": same_size(1),
    "swinir-denoise-color": same_size(3),
    "swinir-jpeg-gray": same_size(1, window=7),
    "swinir-jpeg-color": same_size(3, window=7),
}
