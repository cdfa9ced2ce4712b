"""``toolbox bench``: the speed of a part or a network, against its plain version and the machine's peak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from toolbox.cli.options import Catalog, parse_scale, parse_size, registries_with


def bench(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Architectures, decoders, non-local blocks or encoders."),
    ],
    size: Annotated[
        Any, typer.Option("--size", metavar="WxH", parser=parse_size, help="Input size. Default: 128x128.")
    ] = None,
    scale: Annotated[
        Any,
        typer.Option(
            "--scale", metavar="N", parser=parse_scale, help="Output size divided by input size, such as 2.5."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=1, help="How often to time each.")] = 7,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Number of PyTorch threads.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write JSON to this file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="PICTURE", help="Also draw a chart.")] = None,
    catalog: Catalog = None,
) -> None:
    """Time networks and their parts.

    Weights are random, and everything that is compared takes turns in one run. The share of the peak is relative to
    a large matrix product. A part with a plain version is timed against it; the two must give the same result.
    """
    import torch

    from toolbox.benchmarking.bench import bench as measure
    from toolbox.benchmarking.chart import draw, machine, table
    from toolbox.files import written_beside

    if threads is not None:
        torch.set_num_threads(threads)
    registries = registries_with(catalog)
    rows = [measure(name, registries, size, scale, repeats) for name in names]
    typer.echo(table(rows))
    if json_file is not None:
        report = {"machine": machine(), "rows": [row.as_dict() for row in rows]}
        with written_beside(json_file) as partial:
            partial.write_text(json.dumps(report, indent=2) + "\n")
    if plot is not None:
        draw({row.name: row.share_of_peak for row in rows}, "share of the machine's peak", plot)
