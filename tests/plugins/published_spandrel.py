"""A checkpoint that spandrel alone knows, small, as the published code of Compact names what is in it."""

from __future__ import annotations

from collections.abc import Callable

from tests.weights.published import Published, array, network


def compact(scale: int = 2) -> Published:
    """Compact of Real-ESRGAN: one list of convolutions and activations."""
    settings = {"num_feat": 4, "num_conv": 2, "upscale": scale}
    encoder = {"name": "spandrel", "architecture": "Compact", "hyperparameters": settings, "gives": "pixels"}
    decoder = {"name": "depth-to-space", "scale": scale}
    restorer = network({"channels": 3, "encoder": encoder, "decoder": decoder})
    tensors = restorer.encoder.network.state_dict()
    assert {"body.0.weight", "body.1.weight", "body.6.bias"} <= tensors.keys()
    return Published(restorer, {name: array(tensor) for name, tensor in tensors.items()})


FORMATS: dict[str, Callable[[], Published]] = {"spandrel": compact}
VARIANTS: dict[str, Callable[[], Published]] = {"spandrel-x4": lambda: compact(4)}
