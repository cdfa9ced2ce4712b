"""The table of systems in README.md: one row for each paper of the catalog, and one for all hybrids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from generator.architectures import FOLDER
from generator.installed import architectures, records, specs
from generator.markdown import linked, table
from toolbox.catalog import shipped_providers
from toolbox.discovery import CORE, list_components
from toolbox.records import ArchitectureInfo, ConverterInfo

README = Path(__file__).parents[2] / "README.md"
SYSTEMS = re.compile(
    r"(?<=<!-- systems: written by `python docs/generate.py` -->\n).*?(?=<!-- end of systems -->)", re.S
)


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the README, seen from docs/."""
    text = README.read_text(encoding="utf-8")
    yield "../README.md", SYSTEMS.sub(lambda _: f"\n{_systems()}\n\n", text)


def _systems() -> str:
    """Papers in the order of the catalog, each with the first of its networks and the names of the others.

    The networks of a plugin without components are hybrids of several papers, in one row. Those of a library that
    Toolbox takes whole are left out.
    """
    with_parts = {info.provider for info in list_components()}
    taken = {each.provider for each in records("converters") if each.fallback}
    groups: dict[tuple[str, str], list[ArchitectureInfo]] = {}
    order = list(shipped_providers())
    for info in sorted(architectures(), key=lambda info: order.index(info.name)):
        if info.provider in taken:
            continue
        paper = specs()[info.name].paper if info.provider in with_parts else ""
        groups.setdefault((info.provider, paper), []).append(info)
    converters: list[ConverterInfo] = [each for each in records("converters") if each.url]
    rows = []
    for (_, paper), (first, *others) in groups.items():
        code = _converter(first, converters)
        if code is not None:
            converters.remove(code)  # its code is that of one paper
        rows.append(_row(paper, code.url if code else "", first, others))
    return table(("network", "description", "paper", "variants"), rows)


def _row(paper: str, code: str, first: ArchitectureInfo, others: list[ArchitectureInfo]) -> tuple[str, ...]:
    cited = ", ".join(dict.fromkeys((paper.split(", ")[0], paper.split(", ")[-1])))  # authors and venue
    links = [linked(cited, first.url) if paper else "several", *([linked("code", code)] if code else [])]
    name = f"[`{first.name}`](docs/{FOLDER}/{first.name}.md)"
    return name, first.summary, ", ".join(links), ", ".join(f"`{info.name}`" for info in others)


def _converter(info: ArchitectureInfo, converters: list[ConverterInfo]) -> ConverterInfo | None:
    """The converter of an architecture's published checkpoints: the one of its name, or its plugin's only one."""
    of_plugin = [each for each in converters if each.provider == info.provider]
    named = [each for each in of_plugin if each.name.split("-")[0] == info.name.split("-")[0]]
    return next(iter(named or (of_plugin if info.provider != CORE else [])), None)
