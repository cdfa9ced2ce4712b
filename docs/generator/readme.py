"""The table of systems in README.md: one row for each paper of the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from generator.architectures import FOLDER
from generator.installed import architectures, records, specs
from generator.markdown import linked, table
from toolbox.catalog import shipped_providers
from toolbox.records import ArchitectureInfo

README = Path(__file__).parents[2] / "README.md"
SYSTEMS = re.compile(
    r"(?<=<!-- systems: written by `python docs/generate.py` -->\n).*?(?=<!-- end of systems -->)", re.S
)


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of the README, seen from docs/."""
    text = README.read_text(encoding="utf-8")
    yield "../README.md", SYSTEMS.sub(lambda _: f"\n{_systems()}\n\n", text)


def _systems() -> str:
    """Papers in the order of the catalog, each with the first of its networks and the names of the others."""
    groups: dict[tuple[str, str], list[ArchitectureInfo]] = {}
    for info in _ordered():
        groups.setdefault((info.provider, specs()[info.name].paper), []).append(info)
    return table(
        ("network", "description", "paper", "variants"), (_row(paper, *of) for (_, paper), of in groups.items())
    )


def _ordered() -> list[ArchitectureInfo]:
    order = list(shipped_providers())
    return sorted(architectures(), key=lambda info: order.index(info.name))


def _row(paper: str, first: ArchitectureInfo, *others: ArchitectureInfo) -> tuple[str, ...]:
    authors, *rest = paper.split(", ")
    cited = "" if paper.startswith("none") else linked(", ".join([authors, *rest[-1:]]), first.url)
    codes = [
        each.url for each in records("converters") if next(filter(partial(_reads, each), _ordered()), None) is first
    ]
    links = [cited, *(f"[code]({code})" for code in codes if code)]
    name = f"[`{first.name}`](docs/{FOLDER}/{first.name}.md)"
    return name, first.summary, ", ".join(links), ", ".join(f"`{info.name}`" for info in others)


def _reads(converter: object, info: ArchitectureInfo) -> bool:
    """Whether a converter reads the published checkpoints of an architecture: its name says of which system."""
    name, provider = converter.name, converter.provider  # type: ignore[attr-defined]  # a record
    return provider == info.provider and info.name.split("-")[0] == name.split("-")[0]
