"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

MARK = "<!-- Written by `python docs/generate.py`; do not edit. -->"


def page(title: str, *blocks: str) -> str:
    """A page of blocks, empty ones left out."""
    return "\n\n".join([f"# {title}", MARK, *(block.strip("\n") for block in blocks if block)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; empty if it has no rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return ""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])


def facts(values: Mapping[str, object]) -> str:
    """A table of two columns, without empty values."""
    return table(("", ""), ((f"**{key}**", value) for key, value in values.items() if value not in (None, "")))


def linked(text: str, url: str) -> str:
    """A link, or the text alone where there is no URL."""
    return f"[{text}]({url})" if url else text


def code(text: str, language: str = "text") -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```"


def as_yaml(data: Any) -> str:
    """Data in the style of our catalogs, with short mappings in one line."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
    return text


def number(value: float) -> str:
    """A large number with three digits and a unit: 22.5 G."""
    for factor, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def memory(value: float) -> str:
    """Bytes with two digits and a unit."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= 0.995 * factor:
            return f"{float(f'{value / factor:.2g}'):g} {unit}"
    return f"{value:.0f} B"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


class _Dumper(yaml.SafeDumper):
    """A dumper without anchors, which are useless on a single page."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
