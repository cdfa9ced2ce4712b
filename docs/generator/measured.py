"""The cost of components and architectures, found on tensors without data: exact, and equal on every machine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from generator.markdown import memory, number
from toolbox.cost import Cost, cost
from toolbox.records import ComponentInfo
from toolbox.restorer import Restorer, scaled_size
from toolbox.spec import ArchitectureSpec, ComponentSpec

SIDE = 64  # pixels of the input
SCALE = 2.0  # for a decoder of any size
CHANNELS = 64  # channels of the features for parts that do not take an image


@dataclass(frozen=True)
class Measured:
    """Parameters and cost of a part, with the shapes that it was run on."""

    input: str
    output: str
    parameters: int
    cost: Cost


def measure(info: ComponentInfo, config: Any) -> Measured:
    """One component on SIDE × SIDE pixels, or the next multiple that it needs."""
    side = SIDE + -SIDE % config.padding().multiple
    if info.kind == "decoder":
        sizes = config.sizes()
        # Most take any number; some work on the image itself, or on the pixels of a larger one.
        features = CHANNELS if _joins(config, CHANNELS) else 3 if _joins(config, 3) else 3 * sizes**2
        size = scaled_size(side, side, SCALE if sizes == "any" else sizes if isinstance(sizes, int) else 1)
        return _decoder(_Key(ComponentSpec(info, config)), features, 3, side, size)
    if info.kind == "transition":
        build = functools.partial(info.factory, config, steps=1)
        shape = (config.channels, side, side)
        return _run(build, shape, lambda module, state: module(state, state, None, 0)[0])
    if info.kind == "nonlocal-block":
        build = functools.partial(info.factory, config, channels=CHANNELS)
        return _run(build, (CHANNELS, side, side), lambda module, x: module(x, None)[0])
    return _encoder(_Key(ComponentSpec(info, config)), 3, side)


def _joins(config: Any, features: int) -> bool:
    """Whether a decoder turns so many channels into a color image."""
    try:
        config.check_join(features, 3)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class MeasuredArchitecture:
    """Parameters and cost of an architecture and its two halves, on side × side pixels."""

    side: int
    encoder: Measured
    decoder: Measured
    parameters: int
    cost: Cost
    receptive_field: int | None
    sizes: str | int


def measure_architecture(spec: ArchitectureSpec) -> MeasuredArchitecture:
    """An architecture on SIDE × SIDE pixels, or the next multiple that it needs, at SCALE if it takes any."""
    with torch.device("meta"):
        restorer = Restorer(spec).eval()
    side = SIDE + -SIDE % spec.padding.multiple
    size = restorer.output_size(side, side, scale=SCALE if restorer.sizes == "any" else None)
    encoder = _encoder(_Key(spec.encoder), spec.channels, side)
    decoder = _decoder(_Key(spec.decoder), restorer.encoder.out_channels, spec.decoded_channels, side, size)
    features = 4.0 * restorer.encoder.out_channels * side * side
    both = Cost(
        max(encoder.cost.memory, features + decoder.cost.memory),
        encoder.cost.multiply_adds + decoder.cost.multiply_adds,
        encoder.cost.traffic + decoder.cost.traffic,
    )
    parameters = sum(parameter.numel() for parameter in restorer.parameters())
    return MeasuredArchitecture(side, encoder, decoder, parameters, both, restorer.receptive_field, restorer.sizes)


def cells(parameters: int, taken: Cost) -> tuple[str, str, str]:
    """Parameters, multiply-adds and memory, as tables show them."""
    return f"{parameters:,}", number(taken.multiply_adds), memory(taken.memory)


class _Key:
    """A component's spec that equals another with the same data, since many architectures share an encoder."""

    def __init__(self, spec: ComponentSpec) -> None:
        self.spec = spec
        self.data = repr(spec.to_data())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)


@functools.cache
def _encoder(key: _Key, channels: int, side: int) -> Measured:
    return _run(lambda: key.spec.build(channels=channels), (channels, side, side), lambda module, image: module(image))


@functools.cache
def _decoder(key: _Key, features: int, channels: int, side: int, size: tuple[int, int]) -> Measured:
    build = functools.partial(key.spec.build, features=features, channels=channels)
    return _run(build, (features, side, side), lambda module, x: module(x, size))


def _run(
    build: Callable[[], nn.Module], shape: tuple[int, int, int], call: Callable[[nn.Module, Tensor], Tensor]
) -> Measured:
    with torch.device("meta"):
        module = build().eval().to(memory_format=torch.channels_last)
    given = torch.empty(1, *shape, device="meta").contiguous(memory_format=torch.channels_last)
    shapes: list[torch.Size] = []

    def computation() -> Tensor:
        result = call(module, given)
        shapes.append(result.shape)
        return result

    taken = cost(computation)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Measured(_shape(given.shape), _shape(shapes[0]), parameters, taken)


def _shape(shape: torch.Size) -> str:
    return " × ".join(map(str, shape[1:]))
