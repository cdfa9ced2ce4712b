"""LMF's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, Published, array, as_stored, encoder_layers, network


def lmf(decoder: Spec | None = None) -> Published:
    """LMF's: LM-LIIF unless another of its decoders is given; vertical and horizontal frequencies alternate."""
    settings = decoder or {"name": "modulated-ensemble", "width": 3, "depth": 3, "code": 2, "latent": [5]}
    skip = "none" if settings["name"] == "modulated-ensemble" else "bilinear"
    restorer = network(
        {"channels": 3, "normalization": HALF, "global_skip": skip, "encoder": EDSR, "decoder": settings}
    )
    ours, render = restorer.decoder, "imnet_q" if settings["name"] == "modulated-attention" else "imnet"
    stages = (ours.render.first, *ours.render.hidden, ours.render.last)
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    arrays |= as_stored((f"{render}.layers.{2 * i}", stage) for i, stage in enumerate(stages))
    if settings["name"] == "modulated-ensemble":
        arrays |= as_stored((f"hypernet.layers.{i + 1}", ours.latent[i]) for i in range(1, len(ours.latent), 2))
        arrays["hypernet.layers.0.weight"] = array(torch.cat((ours.content.weight.flatten(1), ours.cell.weight), 1))
        arrays["hypernet.layers.0.bias"] = array(ours.content.bias)
    elif settings["name"] == "modulated-texture":
        arrays |= as_stored([("coef", ours.amplitude), ("freq", ours.frequency), *numbered("hypernet", ours.latent)])
        arrays |= {"phase.weight": array(ours.phase.weight), "imphase.weight": array(ours.code_phase.weight)}
        last = f"hypernet.layers.{len(ours.latent) - 1}"
        for name, count in (("freq", ours.config.frequencies), (last, ours.config.code_frequencies)):
            for key in (f"{name}.weight", f"{name}.bias"):
                before, vertical, horizontal = np.split(arrays[key], (-2 * count, -count))
                alternating = np.stack((vertical, horizontal), 1).reshape(2 * count, *vertical.shape[1:])
                arrays[key] = np.concatenate((before, alternating))
    else:
        networks = {"queries": "prenet_q", "keys": "imnet_k", "values": "imnet_v", "latent": "hypernet_q"}
        for name, theirs in networks.items():
            arrays |= as_stored(numbered(theirs, getattr(ours, name)))
        arrays |= as_stored([("cs_attn.down", ours.across.shrink[0])])
        arrays["cs_attn.escape_NaN"] = np.array([1e-4], np.float32)
        for name, theirs in (("query", "conv_match_1"), ("key", "conv_match_2"), ("value", "conv_assembly")):
            conv, activation = getattr(ours.across, name)
            arrays |= as_stored([(f"cs_attn.{theirs}.0", conv)])
            arrays[f"cs_attn.{theirs}.1.weight"] = array(activation.weight)
    return Published(restorer, arrays)


def numbered(name: str, layers: nn.Sequential) -> list[tuple[str, Any]]:
    """The linear layers of an MLP as published: even numbers, with the ReLUs between them."""
    return [(f"{name}.layers.{i}", layers[i]) for i in range(0, len(layers), 2)]


FORMATS: dict[str, Callable[[], Published]] = {"lmf": lmf}
VARIANTS: dict[str, Callable[[], Published]] = {"lm-liif": lmf}
