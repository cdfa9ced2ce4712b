"""``toolbox eval``: scores of models on a folder, by a named protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_scale, registries_with
from toolbox.progress import progress_bar

if TYPE_CHECKING:
    from toolbox.evaluation.report import Report, Table
    from toolbox.evaluation.scoring import Score


def eval_(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A name, a weights file, or hf://user/repo. Repeat it for several models.",
        ),
    ],
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Folder of the originals, or of pairs.")],
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="How to score; see `toolbox list protocols`.")
    ],
    low: Annotated[
        str | None,
        typer.Option(
            "--lr",
            metavar="FOLDER|SUFFIX",
            help="Folder of the low-resolution pictures, or the ending of their names. Default: *_LR beside *_HR.",
        ),
    ] = None,
    scale: Annotated[
        list[Any] | None,
        typer.Option(
            "--scale",
            metavar="N",
            parser=parse_scale,
            help="Reduce the originals by this scale. Repeat it for several scales.",
        ),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option("--sigma", min=0, help="Noise level, of 255, for denoising. Default: 25.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=1, max=100, help="JPEG quality, for removing its artifacts. Default: 40."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="Add a metric to the protocol's: ssim, ms-ssim, lpips, psnr-b or lr-psnr. Repeat it for several.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="JSON",
            help="Save each score to this file; when you repeat the command, it continues from there.",
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="DIR", help="Write the restored pictures to DIR/MODEL/.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="PNG", help="Draw crops side by side with scores and error maps, worst first."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="PNG",
            help="Plot scores against parameters, time and scale (x1.5 to x8 without --scale or --lr).",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that read and degrade pictures.")] = 1,
    catalog: Catalog = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line per score.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
) -> None:
    """Score models on a folder of pictures.

    A protocol says how: it adds noise to the originals, reduces them, or reads pairs. A picture that fails is listed
    and does not stop the others; the exit code is then 1.
    """
    from toolbox.evaluation.evaluate import evaluate
    from toolbox.evaluation.plots import BASELINE, SCALES, load_figure
    from toolbox.evaluation.plots import plot as draw_plot
    from toolbox.images.files.formats import check_writable

    if sum((as_json, as_csv, as_markdown)) > 1:
        raise typer.BadParameter("got several of --json, --csv and --markdown, expected one of them")
    registries = registries_with(catalog)
    models, scales = list(model), list(dict.fromkeys(scale or []))
    if plot is not None:
        check_writable(plot)
        load_figure()
        if registries.protocols[protocol].enlarges:
            models.append(BASELINE)
            scales = scales or ([] if low else list(SCALES))
    with progress_bar() as bar:
        task = bar.add_task(protocol, total=None)

        def show(score: Score, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=f"{score.picture} by {score.model}")

        report = evaluate(
            models,
            data,
            protocol,
            sigma=sigma,
            quality=quality,
            low=low,
            scales=scales,
            metrics=metric or (),
            results=results,
            save=save,
            sheet=sheet,
            workers=workers,
            on_score=show,
            registries=registries,
        )
    _print(report, as_json=as_json, as_csv=as_csv, as_markdown=as_markdown)
    if sheet is not None and report.means():
        typer.echo(f"wrote {sheet}", err=True)
    if plot is not None and report.means():
        draw_plot(report, plot)
        typer.echo(f"wrote {plot}", err=True)
    if report.failures():
        raise typer.Exit(1)


def _print(report: Report, *, as_json: bool, as_csv: bool, as_markdown: bool) -> None:
    """The scores, and on the standard error notes and failures."""
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2))
    elif as_csv:
        typer.echo(report.csv(), nl=False)
    elif as_markdown:
        typer.echo(report.markdown())
    else:
        _print_tables(report)
    for picture, note in dict.fromkeys((score.picture, note) for score in report.scores for note in score.notes):
        typer.echo(f"note: {picture}: {note}", err=True)
    for score in report.failures():
        typer.echo(f"failed: {score.picture} by {score.model}: {score.error}", err=True)


def _print_tables(report: Report) -> None:
    from rich.console import Console

    console = Console()
    console.print(_rich(report.picture_table()))
    console.print(_rich(report.summary_table()))
    console.print(report.caption(), markup=False, highlight=False)


def _rich(table: Table) -> Any:
    from rich.markup import escape
    from rich.table import Table as RichTable

    header, rows = table
    drawn = RichTable()
    for number, column in enumerate(header):
        drawn.add_column(escape(column), justify="right" if number else "left")
    for row in rows:
        drawn.add_row(*map(escape, row))
    return drawn
