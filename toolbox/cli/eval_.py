"""``toolbox eval``: scores of models on a folder, by a named protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from toolbox.cli.options import Catalog, Json, registries_with


def eval_(
    model: Annotated[
        list[str], typer.Option("--model", "-m", metavar="MODEL", help="A name or a weights file; may be repeated.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="The pictures.")],
    protocol: Annotated[str, typer.Option("--protocol", metavar="NAME", help="denoise-gray or liif-benchmark.")],
    sigma: Annotated[float, typer.Option("--sigma", min=0, help="Noise level of 255, for denoising.")] = 25,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Score models on a folder of pictures: originals, or pairs named *_HR and *_LR."""
    from rich.console import Console
    from rich.table import Table

    from toolbox.cli.restore import find_model
    from toolbox.errors import SpecError
    from toolbox.evaluation.evaluate import evaluate
    from toolbox.evaluation.protocols import PROTOCOLS

    named = {each.name: each for each in PROTOCOLS}
    if protocol not in named:
        raise SpecError(f"unknown protocol {protocol!r}; expected one of {', '.join(named)}")
    registries = registries_with(catalog)
    restorers = {name: find_model(name, registries) for name in model}
    scores = {name: list(evaluate(each, data, named[protocol], sigma)) for name, each in restorers.items()}
    means = {name: sum(score.psnr for score in each) / len(each) for name, each in scores.items()}
    if as_json:
        report = {
            name: {"mean": means[name], "pictures": {score.picture: score.psnr for score in each}}
            for name, each in scores.items()
        }
        typer.echo(json.dumps({"protocol": protocol, "data": str(data), "psnr": report}, indent=2))
        return
    table = Table(title=f"PSNR in dB by {protocol}, {data}", title_justify="left")
    table.add_column("picture")
    for name in model:
        table.add_column(name, justify="right")
    for row in zip(*scores.values(), strict=True):
        table.add_row(row[0].picture, *(f"{score.psnr:.2f}" for score in row))
    table.add_section()
    table.add_row("mean", *(f"{means[name]:.2f}" for name in model))
    Console().print(table)
