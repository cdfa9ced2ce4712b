"""Small networks in the naming of their published code, the layout of each written out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.parts import Spec, restorer_of
from toolbox.programs.one_scale import OneScale
from toolbox.restorer import Restorer
from toolbox.weights.file import metadata_of

Arrays = dict[str, np.ndarray[Any, Any]]

HALF = {"mean": 0.5, "std": 0.5}
EDSR: Spec = {"name": "edsr", "channels": 4, "blocks": 2}
RDN: Spec = {"name": "rdn", "channels": 4, "blocks": 2, "layers": 3, "growth": 5}


@dataclass(frozen=True)
class Published:
    """A network of ours, the same one as its authors would have stored it, and what their file cannot tell."""

    restorer: Restorer
    arrays: Arrays
    hints: dict[str, Any] = field(default_factory=dict)

    @property
    def state_dict(self) -> dict[str, Tensor]:
        """As PyTorch's users have it."""
        return {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}


def network(spec: Spec) -> Any:
    """A restorer of that spec in float32, every weight drawn at random."""
    return restorer_of(spec).float()


def array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(tensor.detach().numpy())


def as_stored(layers: Iterable[tuple[str, Any]]) -> Arrays:
    """Weight and bias of layers that PyTorch's own modules hold."""
    pairs = list(layers)
    weights = {f"{name}.weight": array(layer.weight) for name, layer in pairs}
    return weights | {f"{name}.bias": array(layer.bias) for name, layer in pairs}


def edsr_layers(encoder: Any, prefix: str = "") -> list[tuple[str, Any]]:
    layers = [(f"{prefix}head.0", encoder.head), (f"{prefix}body.{len(encoder.blocks)}", encoder.tail)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"{prefix}body.{i}.body.0", block.body[0]), (f"{prefix}body.{i}.body.2", block.body[2])]
    return layers


def rdn_layers(encoder: Any, prefix: str = "") -> list[tuple[str, Any]]:
    layers = [(f"{prefix}SFENet1", encoder.shallow_a), (f"{prefix}SFENet2", encoder.shallow_b)]
    layers += [(f"{prefix}GFF.{i}", encoder.fusion[i]) for i in (0, 1)]
    for i, block in enumerate(encoder.blocks):
        layers += [(f"{prefix}RDBs.{i}.convs.{j}.conv.0", conv) for j, conv in enumerate(block.convs)]
        layers.append((f"{prefix}RDBs.{i}.LFF", block.fusion))
    return layers


def encoder_layers(encoder: Any, prefix: str) -> list[tuple[str, Any]]:
    return edsr_layers(encoder, prefix) if hasattr(encoder, "head") else rdn_layers(encoder, prefix)


def edsr(scale: int | None = 2, **more: Any) -> Published:
    """EDSR-PyTorch's, without the mean shift; a scale of None is features alone."""
    decoder: Any = {"name": "pixel-shuffle", "scale": scale, "channels": 4}
    if scale is None:
        decoder, more = "features", {"output_channels": 4, **more}
    restorer = network({"channels": 3, "encoder": EDSR, "decoder": decoder, **more})
    layers = edsr_layers(restorer.encoder)
    if scale is not None:
        stages = [stage for stage in restorer.decoder.upscale if isinstance(stage, nn.Conv2d)]
        layers += [(f"tail.0.{2 * i}", stage) for i, stage in enumerate(stages)]
        layers.append(("tail.1", restorer.decoder.conv))
    return Published(restorer, as_stored(layers))


def rdn(scale: int | None = 2) -> Published:
    """RDN of EDSR-PyTorch; a scale of None is features alone."""
    decoder: Any = {"name": "pixel-shuffle", "scale": scale, "channels": 5}
    more = {"output_channels": 4} if scale is None else {}
    restorer = network({"channels": 3, "encoder": RDN, "decoder": "features" if scale is None else decoder, **more})
    layers = rdn_layers(restorer.encoder)
    if scale is not None:
        stages = [stage for stage in restorer.decoder.upscale if isinstance(stage, nn.Conv2d)]
        layers += [(f"UPNet.{2 * i}", stage) for i, stage in enumerate([*stages, restorer.decoder.conv])]
    return Published(restorer, as_stored(layers))


def mean_shift(white: float = 1.0) -> Arrays:
    """EDSR-PyTorch's constants for images in [0, white]: x ∓ white · mean."""
    mean = np.float32(white) * np.array([0.4488, 0.4371, 0.4040], np.float32)
    identity = np.eye(3, dtype=np.float32)[:, :, None, None]
    return {
        "sub_mean.weight": identity,
        "sub_mean.bias": -mean,
        "add_mean.weight": identity,
        "add_mean.bias": mean,
    }


def one_scale() -> Published:
    """A network of any scale, exported for spandrel at one."""
    restorer = network({"channels": 3, "encoder": EDSR, "decoder": {"name": "local-ensemble", "hidden": [8]}})
    exported = OneScale(restorer, 2, metadata_of(restorer, "exported.safetensors"))
    return Published(restorer, {name: array(tensor) for name, tensor in exported.state_dict().items()})
