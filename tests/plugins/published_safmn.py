"""SAFMN's checkpoints, small, as the published code names what is in them."""

from __future__ import annotations

from collections.abc import Callable

from tests.weights.published import Published, as_stored, network


def safmn(scale: int = 2) -> Published:
    """SAFMN with three levels."""
    restorer = network(
        {
            "channels": 3,
            "encoder": {"name": "safmn", "channels": 6, "blocks": 2, "levels": 3, "hidden": 7},
            "decoder": {"name": "pixel-shuffle-direct", "scale": scale},
        }
    )
    layers = [("to_feat", restorer.encoder.head), ("to_img.0", restorer.decoder.conv)]
    for number, block in enumerate(restorer.encoder.blocks):
        name = f"feats.{number}"
        layers += [(f"{name}.norm1", block.norm_a), (f"{name}.norm2", block.norm_b)]
        layers += [(f"{name}.safm.mfr.{level}", each) for level, each in enumerate(block.modulation.filters)]
        layers += [(f"{name}.safm.aggr", block.modulation.fusion)]
        layers += [(f"{name}.ccm.ccm.{i}", block.mixing[i]) for i in (0, 2)]
    return Published(restorer, as_stored(layers))


FORMATS: dict[str, Callable[[], Published]] = {"safmn": safmn}
VARIANTS: dict[str, Callable[[], Published]] = {"safmn-x3": lambda: safmn(3), "safmn-x4": lambda: safmn(4)}
