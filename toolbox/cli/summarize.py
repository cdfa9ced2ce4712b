"""``toolbox summarize``: the reports of many runs as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from toolbox.cli.options import Json


def summarize(
    reports: Annotated[
        list[Path], typer.Argument(metavar="REPORT", help="Files that `toolbox restore --json` printed to.")
    ],
    as_json: Json = False,
) -> None:
    """Add up the reports of `toolbox restore --json`, such as those of all shards.

    A file that several runs tried counts once, with its best outcome. The exit code is 1 if a file failed in all runs.
    """
    from toolbox.files import printable
    from toolbox.images.summary import STATUSES, Summary, read_report

    summary = Summary()
    for path in reports:
        summary.add(read_report(path))
    counts = {status: summary.count(status) for status in reversed(STATUSES)}
    failures = summary.failures()
    if as_json:
        numbers = {"files": len(summary.files), **counts, "megapixels": round(summary.megapixels, 6)}
        more = {"seconds": round(summary.seconds, 3), "models": summary.models, "failures": failures}
        typer.echo(json.dumps(numbers | more, indent=2))
    else:
        typer.echo(f"{'reports':<10}{len(reports):>8}\n{'files':<10}{len(summary.files):>8}")
        for status, count in counts.items():
            done = f"  {summary.megapixels:.1f} megapixels in {summary.seconds:.0f} s" if status == "restored" else ""
            if count or status in ("restored", "failed"):
                typer.echo(f"{status:<10}{count:>8}{done}")
        for name, count in summary.models.items():
            typer.echo(f"  {count} by {printable(name)}")
        for record in failures:
            typer.echo(f"error: {printable(record['error'])}", err=True)
    if failures:
        raise typer.Exit(1)
