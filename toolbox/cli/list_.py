"""``toolbox list``: everything that you can use by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="architecture, encoder, recurrent-wrapper, transition, nonlocal-block, decoder, protocol, metric, "
            "degradation, loss or dataset. Default: all.",
        ),
    ] = None,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """List architectures, components, protocols, metrics, degradations, losses and datasets."""
    from toolbox.errors import SpecError
    from toolbox.registry import NAMED

    registries = registries_with(catalog)
    groups = {
        "architecture": [
            {"name": a.name, "plugin": a.provider, "weights": a.weights is not None, "summary": a.summary}
            for a in registries.architectures
        ]
    }
    groups |= {
        each: [{"name": c.name, "plugin": c.provider, "summary": c.summary, "paper": c.paper} for c in registry]
        for each, registry in registries.components.items()
    }
    groups |= {
        each: [
            {"name": r.name, "plugin": r.provider, "summary": r.summary, "source": r.source}
            for r in getattr(registries, field)
        ]
        for each, field in NAMED.items()
    }
    if kind is not None:
        singular = {plural(each): each for each in groups}  # `toolbox list protocols` reads better
        name = singular.get(kind, kind)
        if name not in groups:
            raise SpecError(f"got kind {kind!r}, expected one of {', '.join(groups)}")
        groups = {name: groups[name]}
    if as_json:
        typer.echo(json.dumps(groups, indent=2))
        return
    _print(groups)


def plural(kind: str) -> str:
    """The plural of a kind's name."""
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _print(groups: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for kind, records in groups.items():
        table = Table(title=plural(kind), title_justify="left", box=None, pad_edge=False, show_header=True)
        for column in ("name", "plugin", "weights", "summary"):
            if column != "weights" or kind == "architecture":
                table.add_column(column, no_wrap=column != "summary")
        for record in records:
            weights = ["shipped" if record["weights"] else ""] if kind == "architecture" else []
            cells = (str(record["name"]), str(record["plugin"]), *weights, str(record["summary"]))
            table.add_row(*map(escape, cells))
        console.print(table)
        console.print()
