"""Every component with its example settings, drawn weights, and what the tests ask of any network."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from toolbox.config import CONFIG_OF_KIND, Config, Kind
from toolbox.discovery import installed, list_components
from toolbox.encoders.identity import Identity, IdentityConfig
from toolbox.errors import SpecError
from toolbox.records import ComponentInfo
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.measure import drawn

Spec = dict[str, Any]
M = TypeVar("M", bound=nn.Module)
ROOT = Path(__file__).parents[1]
FITS_ANY = "residual-conv"  # a decoder that takes the features of every encoder

# The core and the packages of plugins/. Other plugins may be installed, too.
BUILT_IN = frozenset({"toolbox", *(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))})
COMPONENTS = [info for info in list_components() if info.provider in BUILT_IN]
# The example settings of each: cheap to run and with every parameter in use.
ENCODERS: Mapping[str, Spec] = {
    info.name: dict(info.example) for info in COMPONENTS if info.kind in ("encoder", "recurrent-wrapper")
}
DECODERS: Mapping[str, Spec] = {info.name: dict(info.example) for info in COMPONENTS if info.kind == "decoder"}


def architecture(encoder: str | Spec, decoder: str | Spec, **more: Any) -> Spec:
    """A spec of small parts: a component by its name, with its example settings, or by its whole spec."""
    return {
        "channels": 3,
        "encoder": {"name": encoder, **ENCODERS[encoder]} if isinstance(encoder, str) else encoder,
        "decoder": {"name": decoder, **DECODERS[decoder]} if isinstance(decoder, str) else decoder,
        **more,
    }


@functools.cache  # since several files go over all pairs while they are collected
def fits(encoder: str, decoder: str) -> bool:
    """Whether a decoder takes an encoder's features."""
    try:
        resolve(architecture(encoder, decoder))
    except SpecError:
        return False
    return True


def encoder_of(spec: Spec, channels: int = 2) -> Any:
    """The encoder that ``spec`` describes, with drawn weights."""
    resolved = resolve({"channels": channels, "encoder": spec, "decoder": FITS_ANY})
    return drawn(resolved.encoder.build(channels=channels))


def encoder_radius(spec: str | Spec) -> int | None:
    """How far a feature of the encoder that ``spec`` describes sees, as its config says."""
    radius: int | None = resolve({"channels": 2, "encoder": spec, "decoder": FITS_ANY}).encoder.config.receptive_field()
    return radius


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
    example: Spec | None = None,
) -> ComponentInfo:
    """A record to register; by default one more encoder that does nothing."""
    usual: type[Config] = IdentityConfig if kind == "encoder" else CONFIG_OF_KIND.get(kind, Config)
    settings = config or usual
    return ComponentInfo(kind, name, factory, settings, summary="for a test", paper="none", example=example or {})


def installed_and(*components: ComponentInfo, provider: str = "stranger") -> Registries:
    """A copy of what is installed, with components of another plugin added."""
    copy = dataclasses.replace(installed())
    copy.add_plugin(provider, components)
    return copy
