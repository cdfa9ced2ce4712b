"""SRNO's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, RDN, Published, array, as_stored, encoder_layers, network


def srno(encoder: Spec = EDSR) -> Published:
    """SRNO's, whose convolutions of queries, keys and values are joined, head by head."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "global_skip": "bilinear",
            "encoder": encoder,
            "decoder": {"name": "neural-operator", "width": 6, "heads": 2, "hidden": 5},
        }
    )
    ours = restorer.decoder
    position = ours.position.weight
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    arrays["conv00.weight"] = array(torch.cat((position[:, :8], ours.content.weight, position[:, 8:]), 1))
    arrays["conv00.bias"] = array(ours.content.bias)
    pairs = [("fc1", ours.colors[0]), ("fc2", ours.colors[2])]
    for i, layer in enumerate((ours.first, ours.second)):
        parts = (layer.query, layer.key, layer.value)
        rows = [slice(3 * head, 3 * head + 3) for head in range(2)]  # of each head, three channels
        for kind in ("weight", "bias"):
            joined = torch.cat([getattr(part, kind)[own] for own in rows for part in parts])
            arrays[f"conv{i}.qkv_proj.{kind}"] = array(joined)
        pairs += [(f"conv{i}.o_proj1", layer.inner), (f"conv{i}.o_proj2", layer.outer)]
        for j, norm in enumerate(("kln", "vln")):
            arrays[f"conv{i}.{norm}.weight"] = array(layer.scale[j][:, None])
            arrays[f"conv{i}.{norm}.bias"] = array(layer.shift[j][:, None])
    arrays |= as_stored(pairs)
    kernels = ("conv", "fc")
    return Published(
        restorer,
        {
            name: value[..., None, None] if name.startswith(kernels) and value.ndim == 2 else value
            for name, value in arrays.items()
        },
    )


FORMATS: dict[str, Callable[[], Published]] = {"srno": srno}
VARIANTS: dict[str, Callable[[], Published]] = {"srno-edsr": lambda: srno(EDSR), "srno-rdn": lambda: srno(RDN)}
