"""Check components against the rules, one at a time or all of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolbox.close_names import did_you_mean
from toolbox.discovery import in_use, installed
from toolbox.errors import ConformanceError, PluginError, SpecError, ToolboxError
from toolbox.hub import parse_hub_name
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
)
from toolbox.registry import NAMED, Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.hook_rules import HOOK_RULES, HookSubject
from toolbox.testing.rules import RULES, Rule, check_url
from toolbox.testing.subject import subject
from toolbox.weights.file import describe_mismatch, read_header

Example = Mapping[str, Any]
KIND_OF_RECORD: Mapping[type[Any], str] = {
    ConverterInfo: "checkpoint format",
    DatasetInfo: "dataset",
    DegradationInfo: "degradation",
    LossInfo: "loss",
    MetricInfo: "metric",
    ProtocolInfo: "protocol",
}


@dataclass(frozen=True)
class RuleCase:
    """One rule for one component with one setting. Call it to check the rule.

    Raises:
        ConformanceError: the component breaks the rule; the message has the rule's name and sentence.
    """

    rule: Rule
    info: ComponentInfo
    settings: Example
    number: int = 0  # number of the setting, if there are several
    registries: Registries | None = None

    def __call__(self) -> None:
        _check(self.rule, self.info.kind, self.info.name, lambda: subject(self.info, self.settings, self.registries))

    def __str__(self) -> str:
        return _title(self.info.kind, self.info.name, self.number, self.rule)


@dataclass(frozen=True)
class HookCase:
    """One rule for one record of another hook, such as a degradation. Call it to check the rule.

    Raises:
        ConformanceError: the record breaks the rule; the message has the rule's name and sentence.
    """

    rule: Rule
    kind: str
    info: Any
    settings: Example
    number: int = 0  # number of the setting, if there are several
    registries: Registries | None = None

    def __call__(self) -> None:
        _check(
            self.rule,
            self.kind,
            self.info.name,
            lambda: HookSubject(self.kind, self.info, self.settings, in_use(self.registries)),
        )

    def __str__(self) -> str:
        return _title(self.kind, self.info.name, self.number, self.rule)


def _check(rule: Rule, kind: str, name: str, make: Callable[[], Any]) -> None:
    """Check a rule on what ``make`` gives, always with the same random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            rule.check(make())
        # A third-party component or function can fail in any way.
        except Exception as error:
            raise ConformanceError(_broken(kind, name, rule, error)) from error


def _title(kind: str, name: str, number: int, rule: Rule) -> str:
    return f"{kind.replace(' ', '-')}-{name}{f'-{number}' if number else ''}-{rule.name}"


def _broken(kind: str, name: str, rule: Rule, error: Exception) -> str:
    reason = str(error) if isinstance(error, ToolboxError) else f"{type(error).__name__}: {error}"
    return f"{kind} {name!r} breaks the rule {rule.name}: {reason} ({rule.sentence})"


@dataclass(frozen=True)
class ArchitectureCase:
    """Check that a named architecture builds, has a summary, and fits its weights."""

    info: ArchitectureInfo
    registries: Registries

    def __call__(self) -> None:
        spec = resolve(self.info.name, registries=self.registries)
        with torch.device("meta"):
            restorer = Restorer(spec)
        if not self.info.summary:
            raise ConformanceError(f"architecture {self.info.name!r} has no summary; expected one line")
        check_url(self.info.url)
        if isinstance(self.info.weights, str):
            parse_hub_name(self.info.weights)  # the checks use no network
        elif self.info.weights is not None:
            expected = {name: tuple(tensor.shape) for name, tensor in restorer.state_dict().items()}
            if complaint := describe_mismatch(read_header(self.info.weights).shapes, expected):
                raise ConformanceError(f"the weights of architecture {self.info.name!r} do not fit it: {complaint}")

    def __str__(self) -> str:
        return f"architecture-{self.info.name}"


def check_component(
    info: ComponentInfo, settings: Example | None = None, *, registries: Registries | None = None
) -> None:
    """Check one component against every rule; its plugin need not be installed.

    Args:
        info: the record of the component.
        settings: settings of its config; by default the record's example.
        registries: where to look up the components in the settings; by default the installed ones.

    Raises:
        ConformanceError: the component breaks rules; the message has a line for each.
    """
    broken = []
    for rule in RULES:
        try:
            RuleCase(rule, info, info.example if settings is None else settings, registries=registries)()
        except ConformanceError as error:
            broken.append(str(error))
            if rule is RULES[0]:
                break  # with a wrong record the other rules say nothing
    if broken:
        raise ConformanceError("\n".join(broken))


def check_record(info: Any, settings: Example | None = None, *, registries: Registries | None = None) -> None:
    """Check one degradation, metric, loss, dataset, protocol or converter against every rule of its kind.

    Args:
        info: the record; its plugin need not be installed.
        settings: settings of its config; by default the record's example.
        registries: where to look up the names in the settings; by default the installed ones.

    Raises:
        ConformanceError: the record breaks rules; the message has a line for each.
        PluginError: it is no such record.
    """
    kind = KIND_OF_RECORD.get(type(info))
    if kind is None:
        raise PluginError(f"got a {type(info).__name__}, expected the record of a {', '.join(HOOK_RULES)}")
    try:
        check_fields(kind, info)
    except PluginError as error:
        raise ConformanceError(_broken(kind, str(info.name), HOOK_RULES[kind][0], error)) from None
    broken = []
    for rule in HOOK_RULES[kind]:
        try:
            HookCase(rule, kind, info, _example(info) if settings is None else settings, registries=registries)()
        except ConformanceError as error:
            broken.append(str(error))
    if broken:
        raise ConformanceError("\n".join(broken))


def conformance_cases(
    plugin: str, settings: Mapping[str, Example | Sequence[Example]] | None = None
) -> list[RuleCase | HookCase | ArchitectureCase]:
    """List every rule for every component, architecture and other record of an active plugin.

    Args:
        plugin: the name of its entry point.
        settings: settings to test with, one or several for each component or other record; by default the record's
            example.

    Raises:
        PluginError: the plugin is not active; the message says why.
        SpecError: the plugin has nothing of a name in ``settings``.
    """
    found = installed()
    if plugin not in found.versions:
        raise PluginError(f"plugin {plugin} is not active: {found.why_inactive(plugin)}")
    own = [info for kind in found.components.values() for info in kind if info.provider == plugin]
    others = [
        (registry.kind, info)
        for registry in (*(getattr(found, field) for field in NAMED.values()), found.converters)
        for info in registry
        if info.provider == plugin
    ]
    given = dict(settings or {})
    names = [info.name for info in (*own, *(info for _, info in others))]
    for name in given.keys() - set(names):
        remedy = did_you_mean(name, names, most=1) or f"{plugin} has nothing of that name"
        raise SpecError(f"got settings for {name!r}; {remedy}")

    def several(info: Any) -> Sequence[Example]:
        chosen = given.get(info.name, _example(info))
        return [chosen] if isinstance(chosen, Mapping) else chosen

    cases: list[RuleCase | HookCase | ArchitectureCase] = []
    for component in own:
        for number, each in enumerate(several(component)):
            cases += (RuleCase(rule, component, each, number) for rule in RULES)
    for kind, info in others:
        for number, each in enumerate(several(info)):
            cases += (HookCase(rule, kind, info, each, number) for rule in HOOK_RULES[kind])
    return cases + [ArchitectureCase(info, found) for info in found.architectures if info.provider == plugin]


def _example(info: Any) -> Example:
    """The example settings of a record; one that takes none has none."""
    return getattr(info, "example", {})
