"""Small settings of every component, drawn weights, and what the tests ask of any network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from toolbox.config import CONFIG_OF_KIND, Config, Kind
from toolbox.discovery import installed
from toolbox.encoders.identity import Identity, IdentityConfig
from toolbox.records import ComponentInfo
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import drawn

Spec = dict[str, Any]
M = TypeVar("M", bound=nn.Module)

# One small setting of each component, cheap to run and with every parameter in use.
NONLOCAL_BLOCKS: Mapping[str, Spec] = {
    "soft-block-matching": {
        # With zeros beyond the border every weight matters; elsewhere softmax ignores the bias of φ.
        "neighborhood": {"kind": "window", "size": 3, "border": "zero"},
        "embedding_channels": 2,
    },
    "nl-means": {"neighborhood": {"kind": "window", "size": 3}, "patch": 3},
    "wang-nonlocal": {"neighborhood": {"kind": "window", "size": 3, "border": "zero"}, "inner_channels": 2},
}
TRANSITIONS: Mapping[str, Spec] = {
    "nonlocal-residual": {
        "channels": 4,
        "nonlocal": {"name": "soft-block-matching", **NONLOCAL_BLOCKS["soft-block-matching"]},
    },
}
ENCODERS: Mapping[str, Spec] = {
    "edsr": {"channels": 4, "blocks": 1},
    "identity": {},
    "nonlocal": {"nonlocal": {"name": "wang-nonlocal", **NONLOCAL_BLOCKS["wang-nonlocal"]}},
    "pixel-unshuffle": {"factor": 2, "encoder": {"name": "edsr", "channels": 12, "blocks": 1}},
    "rdn": {"channels": 4, "blocks": 2, "layers": 2, "growth": 3},
    "timm": {"model": "test_resnet", "stages": (0, 1), "channels": 4},
    "recurrent": {"steps": 2, "transition": {"name": "nonlocal-residual", **TRANSITIONS["nonlocal-residual"]}},
}
DECODERS: Mapping[str, Spec] = {
    "bicubic": {},
    "conv": {},
    "dual-interactive": {"hidden": [5, 6]},
    "features": {},
    "local-ensemble": {"hidden": [5, 6]},
    "meta-upscale": {"hidden": 5},
    "pixel-shuffle": {"scale": 2, "channels": 4},
    "refine-luma": {"encoder": {"name": "edsr", "channels": 4, "blocks": 1}, "decoder": "residual-conv"},
    "residual-conv": {},
}
SMALL: Mapping[Kind, Mapping[str, Spec]] = {
    "encoder": {name: spec for name, spec in ENCODERS.items() if name != "recurrent"},
    "recurrent-wrapper": {"recurrent": ENCODERS["recurrent"]},
    "transition": TRANSITIONS,
    "nonlocal-block": NONLOCAL_BLOCKS,
    "decoder": DECODERS,
}


def architecture(encoder: str | Spec, decoder: str | Spec, **more: Any) -> Spec:
    """A spec of small parts: a component by its name, with the settings above, or by its whole spec."""
    return {
        "channels": 3,
        "encoder": {"name": encoder, **ENCODERS[encoder]} if isinstance(encoder, str) else encoder,
        "decoder": {"name": decoder, **DECODERS[decoder]} if isinstance(decoder, str) else decoder,
        **more,
    }


def encoder_of(spec: Spec, channels: int = 2) -> Any:
    """The encoder that ``spec`` describes, with drawn weights."""
    decoder = {"name": "dual-interactive", "hidden": [1]}  # fits any encoder
    return drawn(resolve({"channels": channels, "encoder": spec, "decoder": decoder}).encoder.build(channels=channels))


def decoder_of(spec: Spec, features: int, channels: int = 2) -> Any:
    """The decoder that ``spec`` describes, with drawn weights."""
    resolved = resolve({"channels": channels, "encoder": "identity", "decoder": spec})
    return drawn(resolved.decoder.build(features=features, channels=channels))


def restorer_of(spec: Any, registries: Registries | None = None) -> Restorer:
    """The restorer that ``spec`` describes, with drawn weights."""
    return drawn(Restorer(resolve(spec, registries=registries)))


def reach(network: Callable[[Tensor], Tensor], image: Tensor) -> set[tuple[int, int, int, int]]:
    """Which input pixel moves which output pixel, found by moving each: {(y, x, output y, output x)}."""
    height, width = image.shape[-2:]
    moved = image.repeat(height * width + 1, 1, 1, 1)
    for i in range(height * width):
        moved[i, :, i // width, i % width] += 1.0
    with torch.no_grad():
        outputs = network(moved)
    differs = ((outputs[:-1] - outputs[-1]).abs() > 1e-11).any(1)  # what is less is rounding
    return {(int(i) // width, int(i) % width, int(y), int(x)) for i, y, x in differs.nonzero()}


def component(
    name: str,
    kind: Kind = "encoder",
    factory: Callable[..., Any] = Identity,
    config: type[Config] | None = None,
) -> ComponentInfo:
    """A record to register; by default one more encoder that does nothing."""
    usual: type[Config] = IdentityConfig if kind == "encoder" else CONFIG_OF_KIND.get(kind, Config)
    settings = config or usual
    return ComponentInfo(kind, name, factory, settings, summary="for a test", paper="none")


def installed_and(*components: ComponentInfo, provider: str = "stranger") -> Registries:
    """A copy of what is installed, with components of another plugin added."""
    copy = dataclasses.replace(installed())
    copy.add_plugin(provider, components)
    return copy
