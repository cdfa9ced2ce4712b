"""Check components against the rules, one at a time or all of a plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolbox.close_names import did_you_mean
from toolbox.errors import ConformanceError, PluginError, SpecError, ToolboxError
from toolbox.records import ArchitectureInfo, ComponentInfo
from toolbox.registry import Registries
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.rules import RULES, Rule, check_url
from toolbox.testing.subject import subject
from toolbox.weights.file import describe_mismatch, read_header

Example = Mapping[str, Any]


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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                self.rule.check(subject(self.info, self.settings, self.registries))
            # A third-party component can fail in any way.
            except Exception as error:
                reason = str(error) if isinstance(error, ToolboxError) else f"{type(error).__name__}: {error}"
                raise ConformanceError(
                    f"{self.info.kind} {self.info.name!r} breaks the rule {self.rule.name}: {reason} "
                    f"({self.rule.sentence})"
                ) from error

    def __str__(self) -> str:
        number = f"-{self.number}" if self.number else ""
        return f"{self.info.kind}-{self.info.name}{number}-{self.rule.name}"


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
        if self.info.weights is not None:
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


def conformance_cases(
    plugin: str, settings: Mapping[str, Example | Sequence[Example]] | None = None
) -> list[RuleCase | ArchitectureCase]:
    """List every rule for every component of an active plugin, and every architecture of the plugin.

    Args:
        plugin: the name of its entry point.
        settings: settings to test with, one or several for each component; by default the record's example.

    Raises:
        PluginError: the plugin is not active; the message says why.
        SpecError: the plugin has no component of a name in ``settings``.
    """
    from toolbox.discovery import installed

    found = installed()
    if plugin not in found.versions:
        raise PluginError(f"plugin {plugin} is not active: {found.why_inactive(plugin)}")
    own = [info for kind in found.components.values() for info in kind if info.provider == plugin]
    given = dict(settings or {})
    for name in given.keys() - {info.name for info in own}:
        remedy = did_you_mean(name, [info.name for info in own], most=1) or f"{plugin} has no such component"
        raise SpecError(f"got settings for {name!r}; {remedy}")
    cases: list[RuleCase | ArchitectureCase] = []
    for info in own:
        several = given.get(info.name, info.example)
        for number, each in enumerate([several] if isinstance(several, Mapping) else several):
            cases += (RuleCase(rule, info, each, number) for rule in RULES)
    return cases + [ArchitectureCase(info, found) for info in found.architectures if info.provider == plugin]
