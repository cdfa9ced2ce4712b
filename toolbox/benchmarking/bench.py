"""Time a component or an architecture against its plain version and against the machine's peak."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.benchmarking.timing import Work, interleaved, peak_work
from toolbox.close_names import close_names
from toolbox.config import ComponentConfig, DecoderConfig, Kind, Padding, validated
from toolbox.cost import cost
from toolbox.errors import UnknownComponent
from toolbox.padding import padded
from toolbox.registry import Registries
from toolbox.restorer import build, scaled_size

TIMED: tuple[Kind, ...] = ("decoder", "nonlocal-block", "encoder")  # kinds of components that can be timed alone
CHANNELS = 64  # channels of the features for a decoder or a non-local block


@dataclass(frozen=True)
class Row:
    """The measurements of one piece of work."""

    name: str
    input: str
    output: str
    seconds: float
    spread: float  # half the distance of the quartiles, divided by the median
    microseconds_per_pixel: float  # of the output
    share_of_peak: float  # multiply-adds per second, divided by those of a large matrix product
    times_faster: float | None  # speed-up over the plain version; None without one
    difference: float | None  # largest difference from the plain version, divided by its largest value

    def as_dict(self) -> dict[str, Any]:
        """The row as data for JSON."""
        return asdict(self)


@torch.no_grad()
def bench(
    name: str,
    registries: Registries,
    size: tuple[int, int] | None = None,
    scale: float | tuple[float, float] | None = None,
    repeats: int = 7,
) -> Row:
    """Time an architecture or a component, built with drawn weights, on drawn input.

    Args:
        name: the name of an architecture, or of a decoder, a non-local block or an encoder with defaults.
        registries: where to look up the name.
        size: (height, width) of the input; by default 128 × 128, and 48 × 48 for a decoder.
        scale: scale of the output; by default 4 for a decoder of any size.
        repeats: how often to time each piece.

    Raises:
        UnknownComponent: nothing has that name.
        SpecError: it does not do that scale, or needs settings.
    """
    torch.manual_seed(0)
    case = _case(name, registries, size, scale)
    module, source = case.module, case.inputs[0]
    peak, peak_multiply_adds = peak_work(source.device)
    pieces: dict[str, Work] = {"peak": peak, "work": lambda: module(*case.inputs, **case.conditions)}
    if (plain := case.plain) is not None:
        pieces["plain"] = lambda: plain(module, *case.inputs)
    timings = interleaved(pieces, repeats, source.device)
    seconds = timings["work"].median
    output = _first(module(*case.inputs, **case.conditions))
    without_data = copy.deepcopy(module).to("meta")
    multiply_adds = cost(lambda: without_data(source.to("meta"), *case.inputs[1:], **case.conditions)).multiply_adds
    times_faster = difference = None
    if plain is not None:
        times_faster = timings["plain"].median / seconds
        expected = _first(plain(module, *case.inputs))
        difference = float((output - expected).abs().max() / expected.abs().max())
    return Row(
        name=name,
        input="x".join(map(str, source.shape)),
        output="x".join(map(str, output.shape)),
        seconds=seconds,
        spread=timings["work"].spread,
        microseconds_per_pixel=1e6 * seconds / (output.shape[-1] * output.shape[-2]),
        share_of_peak=multiply_adds / seconds / (peak_multiply_adds / timings["peak"].median),
        times_faster=times_faster,
        difference=difference,
    )


@dataclass(frozen=True)
class _Case:
    """A module in eval mode, its arguments, and its plain version."""

    module: nn.Module
    inputs: tuple[Any, ...]
    plain: Callable[..., Any] | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)  # of the conditions for a network


def _case(
    name: str, registries: Registries, size: tuple[int, int] | None, scale: float | tuple[float, float] | None
) -> _Case:
    if name in registries.architectures:
        restorer = build(name, registries=registries).eval()
        height, width = size or (128, 128)
        target = restorer.output_size(height, width, scale=scale or (2 if restorer.sizes == "any" else None))
        image = torch.rand(1, restorer.channels, height, width)
        return _Case(restorer, (image, target), conditions=dict.fromkeys(restorer.spec.conditions, 0.0))
    kind = next((kind for kind in TIMED if name in registries.components[kind]), None)
    if kind is None:
        timed = [info.name for kind in TIMED for info in registries.components[kind]]
        close = close_names(name, [*timed, *(info.name for info in registries.architectures)])
        raise UnknownComponent(
            f"got {name!r}, expected an architecture, a decoder, a non-local block or an encoder"
            + (f", such as {', '.join(map(repr, close))}" if close else "; see `toolbox list`")
        )
    info = registries.components[kind][name]
    config = validated(info.config, {}, registries, name)
    padding = config.padding() if isinstance(config, ComponentConfig) else Padding()
    if kind == "decoder":
        features = padded(torch.rand(1, CHANNELS, *(size or (48, 48))), padding)
        height, width = features.shape[-2:]
        module = info.factory(config, features=CHANNELS, channels=3)
        own = config.sizes() if isinstance(config, DecoderConfig) else "same"
        factor = own if isinstance(own, int) else 1 if own == "same" else scale or 4
        return _Case(_drawn(module), (features, scaled_size(height, width, factor)), info.plain)
    channels = 3 if kind == "encoder" else CHANNELS
    module = info.factory(config, channels=channels)
    image = padded(torch.rand(1, channels, *(size or (128, 128))), padding)
    return _Case(_drawn(module), (image,), info.plain)


def _drawn(module: nn.Module) -> nn.Module:
    """Draw zero parameters at random, since blocks that start as the identity give nothing to compare."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return module.eval().to(memory_format=torch.channels_last)


def _first(output: Any) -> Tensor:
    """The image or the features, without the correlation of a non-local block."""
    return output[0] if isinstance(output, tuple) else output
