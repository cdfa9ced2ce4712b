"""Thera's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from tests.weights.published import EDSR, RDN, Published, array, network


def thera(encoder: str, blocks: tuple[tuple[int, int], ...] = ()) -> Published:
    """Thera's, by flax's paths and with channels last: air, or plus with ConvNeXt blocks."""
    std = math.sqrt(0.25 + 1e-5)
    inner = EDSR if encoder == "edsr" else RDN
    restorer = network(
        {
            "channels": 3,
            "normalization": {"mean": [0.4488, 0.4371, 0.404], "std": std},
            "global_skip": "nearest",
            "encoder": {"name": "convnext-refinement", "encoder": inner, "blocks": blocks} if blocks else inner,
            "decoder": {"name": "heat-field", "hidden": 5, "bias": [mean / std for mean in (0.4488, 0.4371, 0.404)]},
        }
    )
    features = restorer.encoder.encoder if blocks else restorer.encoder
    layers = _flax_edsr(features) if encoder == "edsr" else _flax_rdn(features)
    arrays = {"components": array(restorer.decoder.frequencies), "k": restorer.decoder.diffusivity.detach().numpy()}
    for i, layer in enumerate(restorer.encoder.layers if blocks else ()):
        path = f"refine/layers_{i}"
        if hasattr(layer, "depthwise"):
            arrays[f"{path}/residual/layers_0/kernel"] = array(layer.depthwise.weight.permute(2, 3, 1, 0))
            layers += [(f"{path}/residual/layers_2", layer.widen), (f"{path}/residual/layers_4", layer.narrow)]
        else:
            layers.append((f"{path}/Conv_0", layer.linear))
        norm = f"{path}/residual/layers_1" if hasattr(layer, "depthwise") else f"{path}/LayerNorm_0"
        arrays |= {f"{norm}/scale": array(layer.norm.weight), f"{norm}/bias": array(layer.norm.bias)}
    for path, layer in layers:
        weight = layer.weight if layer.weight.ndim == 4 else layer.weight[..., None, None]
        arrays |= {f"{path}/kernel": array(weight.permute(2, 3, 1, 0)), f"{path}/bias": array(layer.bias)}
    for kind, ours in (("kernel", restorer.decoder.field.weight[:, :, 0, 0].T), ("bias", restorer.decoder.field.bias)):
        # (..., 3 channels · 5 sines) and 5 phases; published by sine, and for an output of deviation 1/2.
        by_sine = ours[..., :15].unflatten(-1, (3, 5)).mT.flatten(-2) * (std / 0.5)
        published = torch.cat((by_sine, ours[..., 15:]), -1)
        arrays[f"out_conv/{kind}"] = array(published[None, None] if kind == "kernel" else published)
    return Published(restorer, arrays)


def _flax_edsr(encoder: Any) -> list[tuple[str, Any]]:
    layers = [("encoder/head/layers_0", encoder.head), (f"encoder/body/layers_{len(encoder.blocks)}", encoder.tail)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"encoder/body/layers_{i}/body/layers_{j}", block.body[j]) for j in (0, 2)]
    return layers


def _flax_rdn(encoder: Any) -> list[tuple[str, Any]]:
    outer = (encoder.shallow_a, encoder.shallow_b, encoder.fusion[0], encoder.fusion[1])
    layers = [(f"encoder/Conv_{i}", layer) for i, layer in enumerate(outer)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"encoder/RDB_{i}/RDB_Conv_{j}/Conv_0", conv) for j, conv in enumerate(block.convs)]
        layers.append((f"encoder/RDB_{i}/Conv_0", block.fusion))
    return layers


FORMATS: dict[str, Callable[[], Published]] = {"thera": lambda: thera("edsr")}
VARIANTS: dict[str, Callable[[], Published]] = {
    "thera-edsr": lambda: thera("edsr"),
    "thera-rdn": lambda: thera("rdn"),
    "thera-plus": lambda: thera("edsr", ((4, 1), (6, 2))),
}
