"""The contract of each kind: how a part is built and called, what its config answers, and the rules of the kit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from generator.components import CONTRACT
from generator.installed import PLURAL, components
from generator.markdown import page, table
from toolbox import hookspecs, records
from toolbox.config import CONFIG_OF_KIND, KINDS, Kind, LossConfig
from toolbox.testing import HOOK_RULES, RULES
from toolbox.testing.hook_rules import all_rules

# The record and the hook of each kind that is no component.
RECORDS: dict[str, tuple[type[Any], str]] = {
    "degradation": (records.DegradationInfo, "toolbox_degradations"),
    "loss": (records.LossInfo, "toolbox_losses"),
    "dataset": (records.DatasetInfo, "toolbox_datasets"),
    "metric": (records.MetricInfo, "toolbox_metrics"),
    "protocol": (records.ProtocolInfo, "toolbox_protocols"),
    "checkpoint format": (records.ConverterInfo, "toolbox_converters"),
}
HARD = "**required**"
INHERITED = "that of the components in its fields"


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the page."""
    yield (
        "reference/contracts.md",
        page(
            "Contracts",
            "Each kind of part keeps one contract. Toolbox checks what a config answers before any tensor exists, and "
            "[`toolbox compose` and `toolbox show`](command-line.md#toolbox-compose) print it. The "
            "[conformance kit](python/testing.md) holds every part to the rules below; [Write a "
            "plugin](../tutorials/plugin.md) shows how to run it.",
            "## Components",
            "B is the batch, C the channels, H × W the size. Images are in [0, 1] before the network's normalization.",
            table(("kind", "built by", "gets", "gives", "its config answers"), map(_component, KINDS)),
            "## What a config answers",
            table(("kind", "question", "answer", "by default"), _answers()),
            "## Other records",
            table(("kind", "record and hook", "contract"), map(_record, RECORDS)),
            "## Rules of the kit",
            "A plugin calls the kit in three lines, which `toolbox plugin new` writes.",
            table(("rule", "holds", "it checks that"), _rules()),
        ),
    )


def _component(kind: Kind) -> tuple[str, ...]:
    (_, gets, gives), names = CONTRACT[kind], {"out": "out_channels", "features": "F", "channels": "channels"}
    built = ", ".join(["config", *_arguments(kind)])
    return (
        f"[{kind}](components/{kind}/index.md)",
        f"`factory({built})`",
        "<br>".join(each.format(**names) for each in gets),
        "<br>".join(each.format(**names) for each in gives),
        ", ".join(f"`{question}`" for question, *_ in _questions(kind)),
    )


def _arguments(kind: Kind) -> list[str]:
    """The arguments after the config, which are the same for all components of a kind."""
    (names,) = {tuple(inspect.signature(info.factory).parameters)[1:] for info in components(kind)}
    return list(names)


def _answers() -> Iterator[tuple[str, ...]]:
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for kind in KINDS:
        for row in _questions(kind):
            kinds.setdefault(row, []).append(PLURAL[kind])
    for (question, answer, default), asked in kinds.items():
        whose = "every component" if len(asked) == len(KINDS) else ", ".join(asked)
        yield whose, f"`{question}`", answer, default
    for name in ("pointwise", "smallest"):
        yield "losses", f"`{name}`", _comment(LossConfig, name), f"`{getattr(LossConfig, name)}`"


def _questions(kind: Kind) -> Iterator[tuple[str, str, str]]:
    """(question, answer, default) of the methods and class variables of a kind's config."""
    config = CONFIG_OF_KIND[kind]
    bases = [each for each in config.__mro__ if each.__module__ == config.__module__ and each.__name__ != "Config"]
    for name in dict.fromkeys(name for base in reversed(bases) for name in vars(base)):
        value = inspect.getattr_static(config, name)
        if inspect.isfunction(value) and not name.startswith("_"):
            asked = ", ".join(list(inspect.signature(value).parameters)[1:])
            required = "raise NotImplementedError" in inspect.getsource(value)
            inherits = "configured(self)" in inspect.getsource(value)
            default = HARD if required else INHERITED if inherits else "accepts everything"
            yield f"{name}({asked})", _sentence(value), default
    if kind == "transition":
        yield "channels", "The channels of the state", HARD
    if kind == "decoder":
        yield "takes_image", _comment(config, "takes_image"), f"`{getattr(config, 'takes_image', None)}`"


def _sentence(value: Any) -> str:
    """A docstring in one line, without the period and with Markdown's quotation of code."""
    return _markdown(inspect.getdoc(value) or "").removesuffix(".")


def _comment(config: type[Any], name: str) -> str:
    """The comment behind a class variable."""
    found = re.search(rf"^ +{name}: .*?# (.*)$", inspect.getsource(config), re.M)
    assert found, name
    return _markdown(found[1])


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _record(kind: str) -> tuple[str, str, str]:
    record, hook = RECORDS[kind]
    assert hasattr(hookspecs, hook), hook
    described = f"[`{record.__name__}`](python/toolbox.md#toolbox.records.{record.__name__})"
    return kind, f"{described}<br>[`{hook}`](hooks.md#toolbox.hookspecs.{hook})", f"{_sentence(record)}."


def _rules() -> Iterator[tuple[str, str, str]]:
    for rule in RULES:
        yield f"`{rule.name}`", "components", _sentence(rule.check)
    for rule in all_rules():
        kinds = [kind for kind, rules in HOOK_RULES.items() if rule in rules]
        yield f"`{rule.name}`", ", ".join(kinds), _sentence(rule.check)
