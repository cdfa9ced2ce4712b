"""Named parts: frozen records, kept in registries that refuse duplicates and suggest close names."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar, get_args

from toolbox.errors import PluginError, UnknownComponent

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from toolbox.config import Config
    from toolbox.weights.checkpoint import Checkpoint, Conversion

Kind = Literal["encoder", "recurrent-wrapper", "transition", "nonlocal-block", "decoder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Kinds that one field of a spec takes alike, so that a name must not be in both.
SAME_SLOT: Mapping[Kind, tuple[Kind, ...]] = {"encoder": ("recurrent-wrapper",), "recurrent-wrapper": ("encoder",)}


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


@dataclass(frozen=True)
class ArchitectureInfo:
    """A whole network by name: its spec as data, validated when it is built."""

    name: str
    spec: Mapping[str, Any]
    summary: str
    provider: str = ""
    weights: Path | None = None  # the safetensors file that it ships with


@dataclass(frozen=True)
class ConverterInfo:
    """A published checkpoint format: how to recognize it, and what network and weights it is."""

    name: str
    recognize: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Any], Conversion]  # called with the validated hints
    hints: type[Config]  # what the checkpoint itself cannot tell
    summary: str
    provider: str = ""


@dataclass(frozen=True)
class ProtocolInfo:
    """How a score is made, so that it can be made again; scores of different protocols do not compare.

    What is restored is always clipped to [0, 1] before it is compared.
    """

    name: str
    summary: str
    source: str  # who scores so
    color: Literal["gray", "rgb", "luma"]  # what is compared; luma is MATLAB's, of RGB
    metrics: tuple[str, ...]  # names of toolbox.evaluation.metrics.METRICS, the first one leading
    rounds: bool = False  # whether the restored picture is rounded to 8 bits first
    shave: tuple[int, int] = (0, 0)  # (a, b): a · scale + b pixels are left out on each side
    noise_seed: int | None = None  # of each picture's noise; None: the input is a low-resolution picture without any
    noise_on_low_resolution: bool = False  # whether the input is a low-resolution picture that has noise, too
    patches: tuple[int, int] | None = None  # (side, stride) of patches restored one by one and averaged
    provider: str = ""

    @property
    def enlarges(self) -> bool:
        """Whether the input is smaller than the original."""
        return self.noise_seed is None or self.noise_on_low_resolution


@dataclass(frozen=True)
class DegradationInfo:
    """What makes a bad picture of a good one, for training.

    ``degrade(config, picture, scale, generator)`` takes (C, H, W) in [0, 1] and gives the same, worse:
    smaller by ``scale`` where it reduces, of the same size where it does not. All that it draws comes
    from the generator, so that a run can be repeated.
    """

    name: str
    degrade: Callable[[Any, Tensor, float, Generator], Tensor]
    config: type[Config]
    summary: str
    source: str
    provider: str = ""


R = TypeVar("R", bound=Record)


class Registry(Generic[R]):
    """Records of one kind by name.

    Args:
        kind: what the records are, as error messages call it.
        provided_elsewhere: names that are known to exist, and the plugin each would come from;
            consulted only to explain a name that is missing.
    """

    def __init__(self, kind: str, provided_elsewhere: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._provided_elsewhere = provided_elsewhere or {}
        self._records: dict[str, R] = {}

    def add(self, *records: R) -> None:
        """Add all records, or none of them.

        Raises:
            PluginError: a name is taken, by another record or by another of these.
        """
        added: dict[str, R] = {}
        for record in records:
            holder = self._records.get(record.name) or added.get(record.name)
            if holder is not None:
                raise PluginError(
                    f"{self.kind} {record.name!r} of {record.provider or 'the caller'} is already "
                    f"provided by {holder.provider or 'the caller'}; rename one of them"
                )
            added[record.name] = record
        self._records |= added

    def __getitem__(self, name: str) -> R:
        if name in self._records:
            return self._records[name]
        raise UnknownComponent(self._unknown(name))

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[R]:
        return iter(sorted(self._records.values(), key=lambda record: record.name))

    def __len__(self) -> int:
        return len(self._records)

    def _unknown(self, name: str) -> str:
        sentence = f"unknown {self.kind} {name!r}"
        if name in self._provided_elsewhere:
            plugin = self._provided_elsewhere[name]
            return f"{sentence}: plugin {plugin} would provide it, but is not active; install or repair {plugin}"
        close = difflib.get_close_matches(name, self._records, n=3, cutoff=0.5)
        if close:
            names = ", ".join(f"{n!r} ({self._records[n].provider})" for n in close)
            return f"{sentence}; did you mean {names}?"
        return f"{sentence}; expected one of {', '.join(sorted(self._records)) or 'none: the registry is empty'}"


@dataclass
class Registries:
    """One registry per kind of component, and one each of the other records."""

    components: dict[Kind, Registry[ComponentInfo]]
    architectures: Registry[ArchitectureInfo]
    converters: Registry[ConverterInfo]
    protocols: Registry[ProtocolInfo]
    degradations: Registry[DegradationInfo]
    set_aside: dict[str, str] = field(default_factory=dict)  # plugin → why it is not active
    versions: dict[str, str] = field(default_factory=dict)  # active plugin → version of its package

    @classmethod
    def empty(
        cls,
        component_providers: Mapping[str, str] | None = None,
        architecture_providers: Mapping[str, str] | None = None,
    ) -> Self:
        """No records; the providers map names to plugins, to explain a name that is missing."""
        return cls(
            components={kind: Registry(kind.replace("-", " "), component_providers) for kind in KINDS},
            architectures=Registry("architecture", architecture_providers),
            converters=Registry("checkpoint format"),
            protocols=Registry("protocol"),
            degradations=Registry("degradation"),
        )

    def add_plugin(
        self,
        provider: str,
        components: Iterable[ComponentInfo] = (),
        architectures: Iterable[ArchitectureInfo] = (),
        converters: Iterable[ConverterInfo] = (),
        protocols: Iterable[ProtocolInfo] = (),
        degradations: Iterable[DegradationInfo] = (),
    ) -> None:
        """Add everything that one plugin provides, or nothing of it.

        Raises:
            PluginError: a record is of the wrong type or kind, or its name is taken.
        """
        after = {kind: _copy(registry) for kind, registry in self.components.items()}
        for info in components:
            _check_component(info)
            for kind in SAME_SLOT.get(info.kind, ()):
                if info.name in after[kind]:
                    holder = after[kind][info.name].provider
                    raise PluginError(
                        f"{info.kind} {info.name!r} of {provider} has the name of a {kind} of {holder}; rename it"
                    )
            after[info.kind].add(replace(info, provider=provider))
        architectures_after = _copy(self.architectures)
        for architecture in architectures:
            if not isinstance(architecture, ArchitectureInfo):
                raise PluginError(f"got {architecture!r}, expected an ArchitectureInfo")
            architectures_after.add(replace(architecture, provider=provider))
        converters_after = _copy(self.converters)
        for converter in converters:
            if not isinstance(converter, ConverterInfo):
                raise PluginError(f"got {converter!r}, expected a ConverterInfo")
            converters_after.add(replace(converter, provider=provider))
        protocols_after = _copy(self.protocols)
        for protocol in protocols:
            if not isinstance(protocol, ProtocolInfo):
                raise PluginError(f"got {protocol!r}, expected a ProtocolInfo")
            protocols_after.add(replace(protocol, provider=provider))
        degradations_after = _copy(self.degradations)
        for degradation in degradations:
            if not isinstance(degradation, DegradationInfo):
                raise PluginError(f"got {degradation!r}, expected a DegradationInfo")
            degradations_after.add(replace(degradation, provider=provider))
        self.components, self.architectures, self.converters = after, architectures_after, converters_after
        self.protocols, self.degradations = protocols_after, degradations_after

    def with_architectures(self, provider: str, architectures: Iterable[ArchitectureInfo]) -> Registries:
        """A copy that has these architectures too; this one is unchanged.

        Raises:
            PluginError: a name is taken.
        """
        more = replace(self, components=dict(self.components))
        more.add_plugin(provider, architectures=architectures)
        return more

    def component(self, kinds: tuple[Kind, ...], name: str) -> ComponentInfo:
        """The record of that name among several kinds: a recurrent wrapper, say, is an encoder too.

        Raises:
            UnknownComponent: none of the kinds has it; the message names close ones.
        """
        for kind in kinds:
            if name in self.components[kind]:
                return self.components[kind][name]
        for kind, registry in self.components.items():
            if name in registry:
                raise UnknownComponent(f"{name!r} is of kind {kind}, expected a component of kind {' or '.join(kinds)}")
        merged: Registry[ComponentInfo] = _copy(self.components[kinds[0]])
        for kind in kinds[1:]:
            merged.add(*(info for info in self.components[kind] if info.name not in merged))
        return merged[name]


def _check_component(info: object) -> None:
    from toolbox.config import CONFIG_OF_KIND

    if not isinstance(info, ComponentInfo) or info.kind not in KINDS:
        raise PluginError(f"got {info!r}, expected a ComponentInfo whose kind is one of {', '.join(KINDS)}")
    if not isinstance(info.name, str) or not info.name:
        raise PluginError(f"got the {info.kind} name {info.name!r}, expected some text")
    if not callable(info.factory):
        raise PluginError(f"{info.kind} {info.name!r} has the factory {info.factory!r}, expected a callable")
    base = CONFIG_OF_KIND[info.kind]
    if not (isinstance(info.config, type) and issubclass(info.config, base)):
        raise PluginError(
            f"{info.kind} {info.name!r} has the config {info.config!r}, expected a subclass of {base.__name__}"
        )


def _copy(registry: Registry[R]) -> Registry[R]:
    copy: Registry[R] = Registry(registry.kind, registry._provided_elsewhere)
    copy._records = dict(registry._records)
    return copy
