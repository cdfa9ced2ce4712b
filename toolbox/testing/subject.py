"""The subject of a test: one component with one setting, in the simplest network that uses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.config import Kind
from toolbox.discovery import in_use
from toolbox.errors import SpecError
from toolbox.records import ComponentInfo
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.spec import ArchitectureSpec, ComponentSpec
from toolbox.testing.measure import drawn

Spec = dict[str, Any]
PROVIDER = "toolbox.testing"  # provider of a record that no installed plugin registered
CHANNELS = (3, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 256)  # numbers of channels to try, one after the other


@dataclass(frozen=True)
class Harness:
    """The simplest network around a component of one kind, and the way to the component in it."""

    network: Callable[[Spec, int], Spec]  # (component, image channels) → architecture
    part: Callable[[Any], nn.Module]  # restorer → component
    inputs: Callable[[Tensor, tuple[int, int]], tuple[Any, ...]]  # (features, size) → arguments of the component


def _encoder(component: Spec, channels: int) -> Spec:
    return {"channels": channels, "encoder": component, "decoder": "features"}


def _transition(component: Spec, channels: int) -> Spec:
    return _encoder({"name": "recurrent", "steps": 2, "transition": component}, channels)


def _nonlocal_block(component: Spec, channels: int) -> Spec:
    return _encoder({"name": "nonlocal", "nonlocal": component}, channels)


def _decoder(component: Spec, channels: int) -> Spec:
    return {"channels": channels, "encoder": "identity", "decoder": component}


HARNESSES: Mapping[Kind, Harness] = {
    "encoder": Harness(_encoder, lambda restorer: restorer.encoder, lambda image, _: (image,)),
    "recurrent-wrapper": Harness(_encoder, lambda restorer: restorer.encoder, lambda image, _: (image,)),
    "transition": Harness(
        _transition, lambda restorer: restorer.encoder.transition, lambda state, _: (state, state.clone(), None, 0)
    ),
    "nonlocal-block": Harness(
        _nonlocal_block, lambda restorer: restorer.encoder.nonlocal_block, lambda features, _: (features, None)
    ),
    "decoder": Harness(_decoder, lambda restorer: restorer.decoder, lambda features, size: (features, size)),
}


@dataclass(frozen=True)
class Subject:
    """A component, the settings that it is tested with, and the registries that know it."""

    info: ComponentInfo
    settings: Mapping[str, Any]
    registries: Registries

    @cached_property
    def spec(self) -> ArchitectureSpec:
        """The architecture around the component, for color pictures if it takes them.

        Raises:
            SpecError: it takes no picture; the message is the one for color pictures.
        """
        fitting = (spec for channels in CHANNELS if (spec := self.fitting(channels)) is not None)
        return next(fitting, None) or self._resolve(HARNESSES[self.info.kind].network(self._named, CHANNELS[0]))

    def fitting(self, channels: int) -> ArchitectureSpec | None:
        """The architecture around the component for pictures with that many channels, or None."""
        spec = HARNESSES[self.info.kind].network(self._named, channels)
        try:
            if self.info.kind != "decoder":
                encoder = self._resolve({**spec, "decoder": "residual-conv"}).encoder  # fits any
                return self._resolve({**spec, "output_channels": encoder.config.out_channels(channels)})
        except SpecError:
            return None
        for output_channels in (3, 1, channels):
            with suppress(SpecError):
                return self._resolve({**spec, "output_channels": output_channels})
        return None

    def _resolve(self, spec: Spec) -> ArchitectureSpec:
        return resolve(spec, registries=self.registries)

    @property
    def component(self) -> ComponentSpec:
        """The component's own spec within the architecture."""
        return next(part for part in self.spec.parts() if part.info == self.info)

    @property
    def _named(self) -> Spec:
        return {"name": self.info.name, **self.settings}

    def restorer(self, seed: int = 0) -> Restorer:
        """The network with drawn weights in float64, in eval mode."""
        torch.manual_seed(seed)
        return drawn(Restorer(self.spec))

    def part(self, restorer: Restorer) -> nn.Module:
        """The component inside a network."""
        return HARNESSES[self.info.kind].part(restorer)

    def inputs(self) -> tuple[Any, ...]:
        """The arguments of the component itself."""
        config = self.component.config
        channels = config.channels if self.info.kind == "transition" else self.spec.channels
        multiple = config.padding().multiple  # a component gets sides that are padded already
        height, width = (-(-side // multiple) * multiple for side in (6, 7))
        features = torch.rand(1, channels, height, width, dtype=torch.float64)
        inputs = HARNESSES[self.info.kind].inputs(features, self.sizes(height, width)[0])
        return (*inputs, features.clone()) if getattr(config, "takes_image", False) else inputs

    def image(self, height: int = 6, width: int = 7, batch: int = 1) -> Tensor:
        """A picture in float64."""
        return torch.rand(batch, self.spec.channels, height, width, dtype=torch.float64)

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Output sizes that the network accepts for a picture of that size."""
        accepted = self.spec.decoder.config.sizes()
        if accepted == "any":
            reduced = ((height + 1) // 2, (width + 2) // 3)
            return [(2 * height, 2 * width), (3 * height + 1, width), (height, width), reduced]
        scale = accepted if isinstance(accepted, int) else 1
        return [(scale * height, scale * width)]


def subject(info: ComponentInfo, settings: Mapping[str, Any], registries: Registries | None) -> Subject:
    """The component as a subject. A component that no plugin registered joins a copy of the registries.

    Raises:
        PluginError: the registries refuse the record.
    """
    registries = in_use(registries)
    for registered in registries.components.get(info.kind, ()):
        if info in (registered, dataclasses.replace(registered, provider="")):
            return Subject(registered, settings, registries)
    registries = dataclasses.replace(registries, versions={**registries.versions, PROVIDER: "0"})
    registries.add_plugin(PROVIDER, [info])
    return Subject(registries.components[info.kind][info.name], settings, registries)
