"""``toolbox list``: everything that you can use by name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolbox.records import ArchitectureInfo
    from toolbox.registry import Registries

COLUMNS = ("name", "plugin", "summary")
MAYBE_FREE = ("identity", "nonlocal")  # encoders that may have nothing to train


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
    """List architectures, components, protocols, metrics, degradations, losses and datasets.

    An architecture runs now if it ships with weights, whose license is beside it, or has nothing to train.
    """
    from toolbox.errors import SpecError
    from toolbox.registry import NAMED
    from toolbox.weights.license import origin_of

    registries = registries_with(catalog)
    origin = cache(origin_of)  # each looks through all packages
    groups = {
        "architecture": [
            {
                "name": a.name,
                "plugin": a.provider,
                "origin": origin(a.provider),
                "weights": a.weights is not None,
                "license": _license(a, registries),
                "runs": _runs(a, registries),
                "summary": a.summary,
            }
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


def _runs(architecture: ArchitectureInfo, registries: Registries) -> bool:
    """Whether it has weights or needs none. Only some encoders are tried, since building all takes long."""
    from toolbox.weights.file import has_nothing_to_train

    encoder = architecture.spec.get("encoder")
    name = encoder.get("name") if isinstance(encoder, dict) else encoder
    return architecture.weights is not None or (
        name in MAYBE_FREE and has_nothing_to_train(architecture.name, registries)
    )


def _license(architecture: ArchitectureInfo, registries: Registries) -> str | None:
    """The license of shipped weights: the one in their file, or else that of their package."""
    from toolbox.weights.file import read_metadata
    from toolbox.weights.license import license_of

    if architecture.weights is None:
        return None
    if not isinstance(architecture.weights, Path):  # of the hub, which a list does not ask
        return license_of(architecture.name, registries)
    return read_metadata(architecture.weights).get("modelspec.license") or license_of(architecture.name, registries)


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
        columns = ("name", "origin", "license", "runs", "summary") if kind == "architecture" else COLUMNS
        for column in columns:
            table.add_column(column, no_wrap=column != "summary")
        for record in records:
            cells = {**record, "license": record.get("license") or "", "runs": "now" if record.get("runs") else ""}
            table.add_row(*(escape(str(cells[column])) for column in columns))
        console.print(table)
        console.print()
