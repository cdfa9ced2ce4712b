"""``toolbox eval``: scores of models on a folder, by a named protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_scale, registries_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from toolbox.evaluation.cases import Case
    from toolbox.evaluation.evaluate import Score
    from toolbox.evaluation.report import Report, Table
    from toolbox.records import ProtocolInfo
    from toolbox.restorer import Restorer

SIGMA = 25.0  # of 255, where a protocol adds noise and nothing else is asked for
QUALITY = 40  # where a protocol compresses


def eval_(
    model: Annotated[
        list[str], typer.Option("--model", "-m", metavar="MODEL", help="A name or a weights file; may be repeated.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="The original pictures, or pairs.")],
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="How to score; see `toolbox list protocols`.")
    ],
    low: Annotated[
        str | None,
        typer.Option(
            "--lr",
            metavar="FOLDER|SUFFIX",
            help="The low-resolution pictures: their folder, or what their names end in. Default: *_LR beside *_HR.",
        ),
    ] = None,
    scale: Annotated[
        list[Any] | None,
        typer.Option(
            "--scale", metavar="N", parser=parse_scale, help="Make low resolution by this scale; may be repeated."
        ),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option("--sigma", min=0, help="Noise level of 255, for denoising. Default: 25.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=1, max=100, help="JPEG quality, for its artifacts. Default: 40."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="Beside the protocol's: psnr-b, ssim, ms-ssim, lpips, lr-psnr."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="JSON",
            help="Keep the scores in this file as they are made; the same command then goes on from them.",
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
            help="Draw scores against parameters, time and scale; without --scale or --lr at x1.5 to x8.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that read and degrade pictures.")] = 1,
    catalog: Catalog = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a line for each score.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
) -> None:
    """Score models on a folder of pictures by a protocol, which makes noise or low resolution, or reads pairs.

    A picture that fails is listed, and the rest go on; the exit code is then 1.
    """
    from toolbox.errors import ImageError, SpecError
    from toolbox.evaluation.cases import find_cases
    from toolbox.evaluation.plots import BASELINE, SCALES, load_figure
    from toolbox.evaluation.plots import plot as draw_plot
    from toolbox.evaluation.report import resume
    from toolbox.evaluation.run import find_jobs, new_report
    from toolbox.evaluation.sheet import choose_rows, draw_sheet
    from toolbox.images.files.picture import check_writable, write_picture
    from toolbox.weights.find import find_model

    if sum((as_json, as_csv, as_markdown)) > 1:
        raise typer.BadParameter("got several of --json, --csv and --markdown, expected one of them")
    for target in (sheet, plot):
        if target is not None:
            check_writable(target)
    if results is not None and not results.parent.is_dir():
        raise SpecError(f"{results}: the folder {results.parent} does not exist; make it first")
    registries = registries_with(catalog)
    how = registries.protocols[protocol]
    level = _level(how, sigma, quality)
    scales, names = list(dict.fromkeys(scale or [])), list(dict.fromkeys(model))
    if plot is not None:
        load_figure()
        if how.enlarges:
            names += [BASELINE] * (BASELINE not in names)
            scales = scales or ([] if low else list(SCALES))
    cases = find_cases(data, how, low, scales)
    models = {name: find_model(name, registries) for name in names}
    folders = {name: save / Path(name).stem for name in names} if save is not None else {}
    if len(set(folders.values())) < len(folders):
        raise SpecError(f"got models whose pictures would be saved in the same folder of {save}; rename one of them")
    for folder in folders.values():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{folder}: no folder can be made there: {error.strerror}") from None

    pairs = (low or ("_clean" if how.same_size_pairs else "_LR")) if cases[0].low is not None else None
    report = new_report(models, how, data, pairs, level, metric or [], registries)
    if results is not None:
        report = resume(report, results, cases)
    jobs = find_jobs(models, cases, how)
    _score(report, models, jobs, how, workers, folders, results)
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2))
    elif as_csv:
        typer.echo(report.csv(), nl=False)
    elif as_markdown:
        typer.echo(report.markdown())
    else:
        _print(report)
    _tell(report)
    if sheet is not None and report.means():
        write_picture(draw_sheet(choose_rows(report, models, jobs, how)), sheet)
        typer.echo(f"wrote {sheet}", err=True)
    if plot is not None and report.means():
        draw_plot(report, plot)
        typer.echo(f"wrote {plot}", err=True)
    if report.failures():
        raise typer.Exit(1)


def _level(protocol: ProtocolInfo, sigma: float | None, quality: int | None) -> float | None:
    """The noise's σ or JPEG's quality, as asked for or by default; None where the protocol has neither."""
    from toolbox.errors import SpecError

    adds_noise = protocol.noise_seed is not None
    if sigma is not None and not adds_noise:
        raise SpecError(f"got --sigma, but {protocol.name} adds no noise; leave it out")
    if quality is not None and not protocol.compresses:
        raise SpecError(f"got --quality, but {protocol.name} does not compress; leave it out")
    if adds_noise:
        return SIGMA if sigma is None else sigma
    if protocol.compresses:
        return QUALITY if quality is None else quality
    return None


def _score(
    report: Report,
    models: Mapping[str, Restorer],
    jobs: list[tuple[Case, list[str]]],
    protocol: ProtocolInfo,
    workers: int,
    folders: Mapping[str, Path],
    results: Path | None,
) -> None:
    """Score what the report does not have yet, with a progress bar; save each score and picture when it is made."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from toolbox.evaluation.report import write_report
    from toolbox.evaluation.run import run

    def is_done(case: Case, name: str) -> bool:
        found = report.find(name, case)
        return found is not None and (not folders or _target(folders[name], found).exists())

    todo = [(case, [name for name in names if not is_done(case, name)]) for case, names in jobs]
    todo = [job for job in todo if job[1]]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(protocol.name, total=sum(len(names) for _, names in todo))
        for score, restored in run(models, todo, protocol, report.level or 0.0, report.metrics, workers):
            if restored is not None and folders:
                _save(restored, _target(folders[score.model], score))
            report.add(score)
            if results is not None:
                write_report(report, results)
            bar.update(task, advance=1, description=f"{score.picture} by {score.model}")


def _target(folder: Path, score: Score) -> Path:
    """Where a restored picture is saved."""
    scale = f"_x{score.scale:.4g}" if score.scale != 1 else ""
    return folder / f"{Path(score.picture).stem}{scale}.png"


def _save(restored: Tensor, path: Path) -> None:
    from toolbox.images.arrays import to_image
    from toolbox.images.files.picture import write_picture

    write_picture(to_image(restored[0].permute(1, 2, 0).cpu().numpy()), path)


def _print(report: Report) -> None:
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


def _tell(report: Report) -> None:
    """Notes and failures, apart from what a program reads."""
    for picture, note in dict.fromkeys((score.picture, note) for score in report.scores for note in score.notes):
        typer.echo(f"note: {picture}: {note}", err=True)
    for score in report.failures():
        typer.echo(f"failed: {score.picture} by {score.model}: {score.error}", err=True)
