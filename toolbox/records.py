"""The frozen records that plugins register: a name, a summary, and the means to build or describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from toolbox.config import Config, Kind, LossConfig
    from toolbox.conversion import Checkpoint, Conversion
    from toolbox.learning import Degraded, Example, LossInput


class Record(Protocol):
    """A record that a registry can hold: it has a name and knows its plugin."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...


@dataclass(frozen=True)
class ComponentInfo:
    """A component that a spec can name: how to build and configure it, and where it comes from."""

    kind: Kind
    name: str
    factory: Callable[..., Any]  # called as factory(config, **arguments of the kind)
    config: type[Config]
    summary: str
    paper: str
    provider: str = ""  # name of the plugin, set on registration
    # The plain version, called as plain(module, *inputs). `toolbox bench` times the component against it.
    plain: Callable[..., Any] | None = None
    # Small settings that build and run fast. The conformance kit and the documentation use them.
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)
    url: str = ""  # of the paper, or of its code


@dataclass(frozen=True)
class ArchitectureInfo:
    """A whole network by name: its spec as data, validated when it is built."""

    name: str
    spec: Mapping[str, Any]
    summary: str
    provider: str = ""
    weights: Path | str | None = None  # the safetensors file that it ships with, or its name on the hub, hf://…
    url: str = ""  # of the paper, or of its code


@dataclass(frozen=True)
class ConverterInfo:
    """A published checkpoint format: how to recognize it and turn it into a network with weights.

    ``recognize(checkpoint)`` returns whether a checkpoint has this format. ``plan(checkpoint, hints)`` returns a
    ``Conversion``: the spec of the network, and the published tensors for each of its own.
    """

    name: str
    recognize: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Any], Conversion]  # called with the validated hints
    hints: type[Config]  # settings that the checkpoint leaves open
    summary: str
    provider: str = ""
    url: str = ""  # address of the code that writes such checkpoints
    license: str = ""  # of the checkpoints that its authors publish, an SPDX identifier where there is one
    fallback: bool = False  # whether it is asked only for checkpoints that no other format fits


@dataclass(frozen=True)
class ProtocolInfo:
    """The full definition of a score. Scores of different protocols cannot be compared.

    The restored picture is always clipped to [0, 1] before the comparison.
    """

    name: str
    summary: str
    source: str  # the papers or programs that score this way
    color: Literal["gray", "rgb", "luma", "all"]  # the compared channels; luma is MATLAB's, of RGB
    metrics: tuple[str, ...]  # names of metrics, the first one leading
    rounds: bool = False  # whether the restored picture is rounded to 8 bits first
    shave: tuple[int, int] = (0, 0)  # (a, b): a · scale + b pixels are left out on each side
    noise_seed: int | None = None  # of the noise; None: the protocol adds none
    noise_on_low_resolution: bool = False  # whether the input is a low-resolution picture with noise
    patches: tuple[int, int] | None = None  # (side, stride) of patches of the input, restored one by one and averaged
    compresses: bool = False  # whether the input is the original after JPEG
    same_size_pairs: bool = False  # whether the input is another picture of the size of the original
    conditions: Mapping[str, float] = field(default_factory=dict, hash=False)  # for networks, besides sigma, quality
    provider: str = ""

    @property
    def enlarges(self) -> bool:
        """Whether the input is smaller than the original."""
        if self.compresses or self.same_size_pairs:
            return False
        return self.noise_seed is None or self.noise_on_low_resolution

    def tells(self, sigma: float = 0.0, quality: int = 0) -> dict[str, float]:
        """The conditions for networks, when the input has noise or JPEG of these strengths."""
        supplied = dict(self.conditions)
        if self.noise_seed is not None:
            supplied["sigma"] = sigma
        if self.compresses:
            supplied["quality"] = quality
        return supplied


@dataclass(frozen=True)
class DegradationInfo:
    """A way to make a good picture worse, for training.

    ``degrade(config, picture, scale, generator)`` takes (C, H, W) in [0, 1] and returns a worse picture,
    smaller by ``scale`` if it reduces and else of the same size. It draws only from the generator, so that
    a run can be repeated. It may return a ``Degraded``, the picture with its conditions, such as the strength
    of the noise, for networks that need them.
    """

    name: str
    degrade: Callable[[Any, Tensor, float, Generator], Tensor | Degraded]
    config: type[Config]
    summary: str
    source: str
    provider: str = ""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)  # small settings, for tests


@dataclass(frozen=True)
class MetricInfo:
    """A metric: the distance or similarity of a restored picture and another one, as a number.

    ``measure(restored, other)`` takes two tensors (B, C, H, W) in [0, 1], and averages over all values.
    """

    name: str
    measure: Callable[[Tensor, Tensor], float]
    label: str  # in tables
    summary: str
    source: str
    digits: int = 4  # decimal places in tables
    unit: str = ""
    higher_is_better: bool = True
    compares_with: Literal["original", "input"] = "original"
    ready: Callable[[], object] | None = None  # called before any work; raises a ToolboxError if a package is missing
    provider: str = ""


@dataclass(frozen=True)
class LossInfo:
    """A loss, which a training step minimizes.

    ``factory(config, restorer)`` returns a function or a module that takes a ``LossInput`` and returns a number. The
    parameters of a module are trained with the network, and kept in the checkpoints of the run.
    """

    name: str
    factory: Callable[[Any, Any], Callable[[LossInput], Tensor]]
    config: type[LossConfig]
    summary: str
    source: str
    provider: str = ""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)  # small settings, for tests


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset, a source of training pictures.

    ``open(config)`` returns a sequence of ``len(examples)`` examples. ``examples[number]`` reads one on demand, the
    same every time. Worker processes get copies of the sequence, so it must be picklable.
    """

    name: str
    open: Callable[[Any], Sequence[Example]]
    config: type[Config]
    summary: str
    source: str
    provider: str = ""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)  # small settings, for tests
