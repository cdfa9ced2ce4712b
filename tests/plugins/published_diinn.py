"""DIINN's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, RDN, Published, array, as_stored, encoder_layers, network


def diinn(encoder: Spec | None = EDSR, modulation_input: str = "synthesis+content", **decoder: Any) -> Published:
    """DIINN's: K_i takes what comes from the layer before and then the content, all as 1 × 1 convolutions.

    Without an encoder it is the decoder alone, whose features are the image.
    """
    config = {"name": "dual-interactive", "hidden": [5, 6, 4], "modulation_input": modulation_input, **decoder}
    if encoder is None:
        restorer = network({"channels": 4, "output_channels": 3, "encoder": "identity", "decoder": config})
        arrays, prefix = {}, ""
    else:
        restorer = network({"channels": 3, "normalization": HALF, "encoder": encoder, "decoder": config})
        arrays, prefix = as_stored(encoder_layers(restorer.encoder, "encoder.")), "decoder."
    ours = restorer.decoder
    content, bias = ours.content.weight.flatten(1), ours.content.bias  # of all layers that take it, stacked
    done = 0
    for i, channels in enumerate(ours.config.hidden):
        rows = slice(done, done + channels)
        if i == 0:
            weight, own_bias = content[rows], bias[rows]
        elif modulation_input == "modulation":
            weight, own_bias = ours.modulation[i - 1].weight, ours.modulation[i - 1].bias
        else:
            weight, own_bias = torch.cat((ours.modulation[i - 1].weight, content[rows]), 1), bias[rows]
        done += channels
        arrays[f"{prefix}K.{i}.0.weight"] = array(weight[:, :, None, None])
        arrays[f"{prefix}K.{i}.0.bias"] = array(own_bias)
        arrays[f"{prefix}Q.{i}.0.weight"] = array(ours.synthesis[i].weight[:, :, None, None])
        arrays[f"{prefix}Q.{i}.0.bias"] = array(ours.synthesis[i].bias)
    if ours.initial is not None:
        arrays[f"{prefix}first_layer.0.weight"] = array(ours.initial.weight[:, :, None, None])
        arrays[f"{prefix}first_layer.0.bias"] = array(ours.initial.bias)
    arrays |= as_stored([(f"{prefix}last_layer", ours.output)])
    certain = modulation_input == "modulation" or ours.config.output_kernel == 3
    return Published(restorer, arrays, {} if certain else {"modulation_input": modulation_input})


FORMATS: dict[str, Callable[[], Published]] = {"diinn": diinn}
VARIANTS: dict[str, Callable[[], Published]] = {
    "diinn-a": lambda: diinn(RDN, "modulation"),
    "diinn-b": lambda: diinn(RDN, "modulation", initial_synthesis=True),
    "diinn-c": lambda: diinn(RDN, "modulation+content"),
    "diinn-d": lambda: diinn(RDN, "modulation+content", initial_synthesis=True),
    "diinn-e": lambda: diinn(RDN, "synthesis+content", initial_synthesis=True),
    "diinn-f": lambda: diinn(RDN, "synthesis+content"),
    "diinn-3x3": lambda: diinn(RDN, output_kernel=3),
    "diinn-edsr": lambda: diinn(EDSR),
    "diinn-decoder": lambda: diinn(None),
}
