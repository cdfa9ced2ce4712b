"""What plugins register: frozen records with a name, a summary, and whatever builds or describes it."""

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
    """What a registry can hold: something with a name that knows which plugin brought it."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...


@dataclass(frozen=True)
class ComponentInfo:
    """A part that a spec can name: how to build it, what configures it, where it comes from."""

    kind: Kind
    name: str
    factory: Callable[..., Any]  # called as factory(config, **what the kind's contract passes)
    config: type[Config]
    summary: str
    paper: str
    provider: str = ""  # the plugin; filled in when the record is registered
    # The same written plainly, called as plain(module, *inputs): `toolbox bench` measures against it.
    plain: Callable[..., Any] | None = None
    # Small settings with which it is built and run in no time: the conformance kit and the docs use them.
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)
    url: str = ""  # of the paper, or of its code


@dataclass(frozen=True)
class ArchitectureInfo:
    """A whole network by name: its spec as data, validated when it is built."""

    name: str
    spec: Mapping[str, Any]
    summary: str
    provider: str = ""
    weights: Path | None = None  # the safetensors file that it ships with
    url: str = ""  # of the paper, or of its code


@dataclass(frozen=True)
class ConverterInfo:
    """A published checkpoint format: how to recognize it, and what network and weights it is."""

    name: str
    recognize: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Any], Conversion]  # called with the validated hints
    hints: type[Config]  # what the checkpoint itself cannot tell
    summary: str
    provider: str = ""
    url: str = ""  # of the code that writes such checkpoints


@dataclass(frozen=True)
class ProtocolInfo:
    """How a score is made, so that it can be made again; scores of different protocols do not compare.

    What is restored is always clipped to [0, 1] before it is compared.
    """

    name: str
    summary: str
    source: str  # who scores so
    # What is compared; luma is MATLAB's, of RGB, and all is every channel that a picture has.
    color: Literal["gray", "rgb", "luma", "all"]
    metrics: tuple[str, ...]  # names of metrics, the first one leading
    rounds: bool = False  # whether the restored picture is rounded to 8 bits first
    shave: tuple[int, int] = (0, 0)  # (a, b): a · scale + b pixels are left out on each side
    noise_seed: int | None = None  # of each picture's noise; None: the input is a low-resolution picture without any
    noise_on_low_resolution: bool = False  # whether the input is a low-resolution picture that has noise, too
    patches: tuple[int, int] | None = None  # (side, stride) of patches restored one by one and averaged
    paired: bool = False  # whether the input is the degraded picture of a pair, of the same size
    conditions: Mapping[str, float] = field(default_factory=dict, hash=False)  # what networks are told, beside sigma
    provider: str = ""

    @property
    def enlarges(self) -> bool:
        """Whether the input is smaller than the original."""
        return (self.noise_seed is None and not self.paired) or self.noise_on_low_resolution

    def tells(self, sigma: float) -> dict[str, float]:
        """What a network may be told of the input, where noise of that level is added."""
        return {**self.conditions, **({} if self.noise_seed is None else {"sigma": sigma})}


@dataclass(frozen=True)
class DegradationInfo:
    """What makes a bad picture of a good one, for training.

    ``degrade(config, picture, scale, generator)`` takes (C, H, W) in [0, 1] and gives the same, worse:
    smaller by ``scale`` where it reduces, of the same size where it does not. All that it draws comes
    from the generator, so that a run can be repeated. Where a network may want to know what was done, such
    as the strength of noise, it gives a ``Degraded``: the picture and its conditions.
    """

    name: str
    degrade: Callable[[Any, Tensor, float, Generator], Tensor | Degraded]
    config: type[Config]
    summary: str
    source: str
    provider: str = ""


@dataclass(frozen=True)
class MetricInfo:
    """How far a restored picture is from what it is compared with, as one number.

    ``measure(restored, other)`` takes two tensors (B, C, H, W) in [0, 1], and averages over all values.
    """

    name: str
    measure: Callable[[Tensor, Tensor], float]
    label: str  # in tables
    summary: str
    source: str
    digits: int = 4  # behind the point, in tables
    unit: str = ""
    higher_is_better: bool = True
    compares_with: Literal["original", "input"] = "original"
    ready: Callable[[], object] | None = None  # called before anything is restored; a ToolboxError says what is missing
    provider: str = ""


@dataclass(frozen=True)
class LossInfo:
    """What a training step makes smaller.

    ``factory(config, restorer)`` gives a function, or a module, that is called with a ``LossInput`` and returns one
    number. What a module has to train is trained with the network, and kept in the checkpoints of the run.
    """

    name: str
    factory: Callable[[Any, Any], Callable[[LossInput], Tensor]]
    config: type[LossConfig]
    summary: str
    source: str
    provider: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """Where training pictures come from.

    ``open(config)`` gives a sequence, ``examples``: ``len(examples)`` of them, of which ``examples[number]`` reads one
    when it is asked for, the same every time. Worker processes get copies of it, so it must be picklable.
    """

    name: str
    open: Callable[[Any], Sequence[Example]]
    config: type[Config]
    summary: str
    source: str
    provider: str = ""
