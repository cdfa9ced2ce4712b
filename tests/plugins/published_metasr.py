"""Meta-SR's checkpoints, small, as the published code names and lays out what is in them."""

from __future__ import annotations

from collections.abc import Callable

from tests.parts import Spec
from tests.weights.published import EDSR, HALF, RDN, Published, as_stored, encoder_layers, network


def metasr(encoder: Spec = EDSR) -> Published:
    """Meta-SR's, in the naming of LIIF's repository."""
    decoder = {"name": "meta-upscale", "hidden": 5}
    restorer = network({"channels": 3, "normalization": HALF, "encoder": encoder, "decoder": decoder})
    layers = encoder_layers(restorer.encoder, "encoder.")
    layers += [("imnet.layers.0", restorer.decoder.hidden), ("imnet.layers.2", restorer.decoder.filters)]
    return Published(restorer, as_stored(layers))


FORMATS: dict[str, Callable[[], Published]] = {"metasr": metasr}
VARIANTS: dict[str, Callable[[], Published]] = {
    "metasr-edsr": lambda: metasr(EDSR),
    "metasr-rdn": lambda: metasr(RDN),
}
