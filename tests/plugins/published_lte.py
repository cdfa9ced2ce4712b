"""LTE's and LTE+'s checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, RDN, Published, array, as_stored, encoder_layers, network


def lte(encoder: Spec = EDSR, *, plus: bool = False) -> Published:
    """LTE's, whose frequencies are interleaved, or LTE+'s, which are not and whose layers are 1 × 1 convolutions."""
    restorer = network(
        {
            "channels": 3,
            "normalization": HALF,
            "global_skip": "bilinear",
            "encoder": encoder,
            "decoder": {"name": "local-texture", "frequencies": 3, "hidden": [5, 4]},
        }
    )
    ours = restorer.decoder
    layers = [*encoder_layers(restorer.encoder, "encoder."), ("coef", ours.amplitude), ("freq", ours.frequency)]
    layers += [(f"{'layers' if plus else 'imnet.layers'}.{i}", ours.layers[i]) for i in (0, 2, 4)]
    arrays = as_stored(layers) | {"phase.weight": array(ours.phase.weight)}
    for name, stored in arrays.items():
        if name.startswith("freq.") and not plus:
            arrays[name] = np.stack(np.split(stored, 2), 1).reshape(stored.shape)
        if name.startswith("layers.") and name.endswith("weight"):
            arrays[name] = stored[:, :, None, None]
    return Published(restorer, arrays)


FORMATS: dict[str, Callable[[], Published]] = {"lte": lte}
VARIANTS: dict[str, Callable[[], Published]] = {
    "lte-edsr": lambda: lte(EDSR),
    "lte-rdn": lambda: lte(RDN),
    "lte-plus": lambda: lte(plus=True),
}
