"""Registries of records. They refuse duplicates, add all or nothing, and suggest close names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Self, TypeVar

from toolbox.close_names import close_names
from toolbox.config import CONFIG_OF_KIND, KINDS, Kind
from toolbox.errors import PluginError, UnknownComponent
from toolbox.record_checks import check_fields
from toolbox.records import (
    ArchitectureInfo,
    ComponentInfo,
    ConverterInfo,
    DatasetInfo,
    DegradationInfo,
    LossInfo,
    MetricInfo,
    ProtocolInfo,
    Record,
)

# Kinds that share a field of a spec, so that they must not share a name.
SAME_SLOT: Mapping[Kind, tuple[Kind, ...]] = {"encoder": ("recurrent-wrapper",), "recurrent-wrapper": ("encoder",)}

# The other kinds of names besides components and architectures: the word for one, and its registry.
NAMED: Mapping[str, str] = {
    "protocol": "protocols",
    "metric": "metrics",
    "degradation": "degradations",
    "loss": "losses",
    "dataset": "datasets",
}

R = TypeVar("R", bound=Record)


class Registry(Generic[R]):
    """Records of one kind by name.

    Args:
        kind: the name of the kind in error messages.
        provided_elsewhere: names that are known to exist, each with its plugin; only used to explain a
            missing name.
    """

    def __init__(self, kind: str, provided_elsewhere: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._provided_elsewhere = provided_elsewhere or {}
        self._records: dict[str, R] = {}

    def add(self, *records: R) -> None:
        """Add all records, or none of them.

        Raises:
            PluginError: a name is taken, or occurs twice.
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
        if close := close_names(name, self._records):
            names = ", ".join(f"{n!r} ({self._records[n].provider})" for n in close)
            return f"{sentence}; did you mean {names}?"
        return f"{sentence}; expected one of {', '.join(sorted(self._records)) or 'none: the registry is empty'}"


@dataclass(frozen=True)
class SetAside:
    """A broken plugin, the reason, and a remedy for its user."""

    plugin: str
    package: str
    version: str
    module: str
    reason: str
    remedy: str


@dataclass
class Registries:
    """One registry for each kind of component, and one for each other kind of record."""

    components: dict[Kind, Registry[ComponentInfo]]
    architectures: Registry[ArchitectureInfo]
    converters: Registry[ConverterInfo]
    protocols: Registry[ProtocolInfo]
    degradations: Registry[DegradationInfo]
    metrics: Registry[MetricInfo]
    losses: Registry[LossInfo]
    datasets: Registry[DatasetInfo]
    set_aside: list[SetAside] = field(default_factory=list)  # broken plugins
    left_out: list[str] = field(default_factory=list)  # plugins that the user did not select
    versions: dict[str, str] = field(default_factory=dict)  # active plugin → version of its package

    @classmethod
    def empty(
        cls,
        component_providers: Mapping[str, str] | None = None,
        architecture_providers: Mapping[str, str] | None = None,
    ) -> Self:
        """Empty registries. The providers map names to plugins, to explain a missing name."""
        return cls(
            components={kind: Registry(kind.replace("-", " "), component_providers) for kind in KINDS},
            architectures=Registry("architecture", architecture_providers),
            converters=Registry("checkpoint format"),
            protocols=Registry("protocol"),
            degradations=Registry("degradation"),
            metrics=Registry("metric"),
            losses=Registry("loss"),
            datasets=Registry("dataset"),
        )

    def add_plugin(
        self,
        provider: str,
        components: Iterable[ComponentInfo] = (),
        architectures: Iterable[ArchitectureInfo] = (),
        converters: Iterable[ConverterInfo] = (),
        protocols: Iterable[ProtocolInfo] = (),
        degradations: Iterable[DegradationInfo] = (),
        metrics: Iterable[MetricInfo] = (),
        losses: Iterable[LossInfo] = (),
        datasets: Iterable[DatasetInfo] = (),
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
                        f"{info.kind} {info.name!r} of {provider} has the name of {_with_article(kind)} of {holder}; "
                        "rename it"
                    )
            after[info.kind].add(replace(info, provider=provider))
        others = {
            "architectures": (ArchitectureInfo, architectures),
            "converters": (ConverterInfo, converters),
            "protocols": (ProtocolInfo, protocols),
            "degradations": (DegradationInfo, degradations),
            "metrics": (MetricInfo, metrics),
            "losses": (LossInfo, losses),
            "datasets": (DatasetInfo, datasets),
        }
        others_after = {name: _with(getattr(self, name), provider, *given) for name, given in others.items()}
        self.components = after
        for name, registry in others_after.items():
            setattr(self, name, registry)

    def with_architectures(self, provider: str, architectures: Iterable[ArchitectureInfo]) -> Registries:
        """A copy with these architectures added; the original stays unchanged.

        Raises:
            PluginError: a name is taken.
        """
        more = replace(self, components=dict(self.components))
        more.add_plugin(provider, architectures=architectures)
        return more

    def why_inactive(self, plugin: str) -> str:
        """The reason why a plugin is not active."""
        if plugin in self.left_out:
            return "TOOLBOX_PLUGINS leaves it out"
        return next((each.reason for each in self.set_aside if each.plugin == plugin), "it is not installed")

    def component(self, kinds: tuple[Kind, ...], name: str) -> ComponentInfo:
        """The record of a name among several kinds; a recurrent wrapper, for example, is an encoder too.

        Raises:
            UnknownComponent: none of the kinds has it; the message suggests close names.
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


def _with(registry: Registry[R], provider: str, kind: type[R], records: Iterable[object]) -> Registry[R]:
    """A copy with a plugin's records added."""
    copy = _copy(registry)
    for record in records:
        if not isinstance(record, kind):
            raise PluginError(f"got {record!r}, expected {_with_article(kind.__name__)}")
        if not isinstance(record.name, str) or not record.name:
            raise PluginError(f"got the {registry.kind} name {record.name!r}, expected some text")
        check_fields(registry.kind, record)
        copy.add(replace(record, provider=provider))  # type: ignore[type-var]  # every record is a dataclass
    return copy


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeio' else 'a'} {noun}"


def _copy(registry: Registry[R]) -> Registry[R]:
    copy: Registry[R] = Registry(registry.kind, registry._provided_elsewhere)
    copy._records = dict(registry._records)
    return copy
