"""``toolbox models``: the networks that are ready to run, by purpose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from collections.abc import Sequence


def models(catalog: Catalog = None, as_json: Json = False) -> None:
    """List the networks that have weights, by purpose, with quality and time.

    The quality is the score of the training, by the protocol that it names. The time is an estimate for this machine,
    in seconds per megapixel of the result; networks that give any size enlarge 2 times.
    """
    from toolbox.images.ready import ready_names, ready_record
    from toolbox.weights.file import load

    registries = registries_with(catalog)
    records = [
        ready_record(name, registries.architectures[name].summary, load(name, registries=registries))
        for name in ready_names(registries)
    ]
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    _print(records)


def _print(records: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for purpose in dict.fromkeys(sorted(record["purpose"] for record in records)):
        table = Table(title=purpose, title_justify="left", box=None, pad_edge=False)
        for column in ("name", "PSNR", "s/MP", "summary"):
            table.add_column(column, no_wrap=column != "summary", justify="right" if column == "s/MP" else "left")
        for record in (each for each in records if each["purpose"] == purpose):
            scores = ", ".join(f"{folder} {value:.2f} dB" for folder, value in record["psnr"].items())
            score = f"{scores} ({record['protocol']})" if scores else ""
            time = f"{record['seconds_per_megapixel']:.1f}"
            table.add_row(*map(escape, (record["name"], score, time, record["summary"])))
        console.print(table)
        console.print()
