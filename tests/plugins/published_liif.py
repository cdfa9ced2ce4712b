"""LIIF's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, RDN, Published, array, as_stored, encoder_layers, network


def liif(encoder: Spec = EDSR, **decoder: Any) -> Published:
    """LIIF's: the first layer takes the unfolded features and then the position."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "encoder": encoder,
            "decoder": {"name": "local-ensemble", "hidden": [5, 6], **decoder},
        }
    )
    arrays = as_stored(encoder_layers(restorer.encoder, "encoder."))
    ours = restorer.decoder
    arrays["imnet.layers.0.weight"] = array(torch.cat((ours.content.weight.flatten(1), ours.position.weight), 1))
    arrays["imnet.layers.0.bias"] = array(ours.content.bias)
    linear = [layer for layer in ours.layers if isinstance(layer, nn.Linear)]
    return Published(restorer, arrays | as_stored((f"imnet.layers.{2 * i}", x) for i, x in enumerate(linear, 1)))


FORMATS: dict[str, Callable[[], Published]] = {"liif": liif}
VARIANTS: dict[str, Callable[[], Published]] = {
    "liif-edsr": lambda: liif(EDSR),
    "liif-rdn": lambda: liif(RDN),
    "liif-no-unfolding": lambda: liif(feature_unfolding=False),
    "liif-no-cell": lambda: liif(cell_decoding=False),
    "liif-neither": lambda: liif(feature_unfolding=False, cell_decoding=False),
    "liif-one-layer": lambda: liif(hidden=[7]),
}
