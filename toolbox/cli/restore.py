"""``toolbox restore``: pictures in, better ones out."""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_scales, parse_size, registries_with

if TYPE_CHECKING:
    from PIL import Image

    from toolbox.images.files.page import Page
    from toolbox.images.restore_file import FileReport
    from toolbox.images.restore_files import FilesRun, Outcome


def restore(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE",
            help="What to restore: files, folders, patterns such as 'scans/*.tif', or - for standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A file, a folder (out/), a pattern such as '{folder}/{stem}_x{scale}{suffix}', which also knows "
            "{width}, {height} and {model}, or - for standard output; not needed to --dry-run.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A name (see `toolbox list`) or a weights file. Default: nlrn-lite to denoise, diinn-lite to enlarge.",
        ),
    ] = None,
    scale: Annotated[
        Any,
        typer.Option(
            "--scale",
            metavar="N",
            parser=parse_scales,
            help="Output over input size, such as 2.5; 2x3 is across x down.",
        ),
    ] = None,
    size: Annotated[
        Any, typer.Option("--size", metavar="WxH", parser=parse_size, help="Output size in pixels.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", metavar="PX", min=1, help="Output width; the proportions stay.")
    ] = None,
    height: Annotated[
        int | None, typer.Option("--height", metavar="PX", min=1, help="Output height; the proportions stay.")
    ] = None,
    long_edge: Annotated[
        int | None, typer.Option("--long-edge", metavar="PX", min=1, help="The longer side of the output.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders in a folder.")] = False,
    output_format: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="png, jpeg, webp, tiff, ... Default: by suffix, or the input's."),
    ] = None,
    quality: Annotated[
        int | None, typer.Option("--quality", min=1, max=100, help="Of JPEG and WebP (default 95) and AVIF (90).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Results may replace the inputs themselves.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave results alone that are there.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Files at the same time, which share the threads.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads in all. Default: one per core.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps, ... Default: cpu.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="NAME", help="float32, bfloat16, float16 or float64.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="PICTURE", help="Also write before | after side by side.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="PICTURE", help="What it should be; --compare then tells the PSNR."),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="MEMORY", help="What the process may take in all, such as 2GB."),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(
            "--halo", metavar="PX", min=0, help="Pixels around a tile; fewer than the network sees is approximate."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell the size of the result, and the memory and time it would take.")
    ] = False,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Remove the noise of pictures, or enlarge or reduce them when a size is given.

    A gray model restores the channels of a color picture one by one. 8 and 16 bits per channel, alpha, EXIF, XMP,
    resolution and ICC profile are kept; pages and frames are restored one by one. Every result is written whole or
    not at all, and a file that fails stops no other.
    """
    from toolbox.images.comparison import side_by_side
    from toolbox.images.engine import hardware
    from toolbox.images.engine.plan import parse_memory
    from toolbox.images.engine.request import Geometry, Request
    from toolbox.images.files.formats import format_named
    from toolbox.images.files.picture import image_of, read_picture, write_picture
    from toolbox.images.jobs import find_sources, output_of
    from toolbox.images.restore import DENOISER, ENLARGER
    from toolbox.images.restore_file import Settings
    from toolbox.images.restore_files import FilesRun, Streams
    from toolbox.weights.find import find_model

    if output is None and not dry_run:
        raise typer.BadParameter("got no --output, expected the file, folder or pattern to write")
    asked = {"scale": scale, "size": size, "width": width, "height": height, "long-edge": long_edge}
    given = [f"--{name}" for name, value in asked.items() if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(f"got {' and '.join(given)}, expected one of them")
    kind = None if output_format is None else format_named(output_format)
    if max_memory is not None:
        parse_memory(max_memory)  # refused before any work
    out = None if output is None else output_of(output, inputs, kind)
    if out is not None and out.is_standard and sys.stdout.isatty():
        raise typer.BadParameter("got - for --output at a terminal, expected a pipe or a file behind it")
    sources = find_sources(inputs, recursive, out)
    single = len(inputs) == 1 and [str(source.path or "-") for source in sources] == [str(Path(inputs[0]))]
    if reference is not None and compare is None:
        raise typer.BadParameter("got --reference without --compare, expected the file to write the comparison to")
    known = None if reference is None else read_picture(reference)
    if compare is not None:
        _check_compare(compare, sources[0].path, output, single)
    name = model or (ENLARGER if given else DENOISER)
    settings = Settings(
        restorer=hardware.placed(find_model(name, registries_with(catalog)), device, dtype),
        model=name,
        request=Request(Geometry(scale, size, width, height, long_edge), max_memory, halo, workers),
        quality=quality,
    )
    streams = Streams(  # in bytes, which a notebook's have not
        sys.stdin.buffer if any(source.path is None for source in sources) else io.BytesIO(),
        sys.stdout.buffer if out is not None and out.is_standard else io.BytesIO(),
    )
    batch = FilesRun(
        sources,
        out,
        settings,
        streams,
        overwrite=overwrite,
        skip_existing=skip_existing,
        only_tell=dry_run or out is None,
    )
    talk = Talk(name, single, as_json, dry_run, aloud=not (out is not None and out.is_standard) or dry_run)
    pages: list[tuple[Image.Image, Image.Image]] = []

    def keep(page: Page, restored: Page) -> None:
        if compare is not None and not pages:
            pages.append((image_of(page), image_of(restored)))

    with hardware.threads(threads), hardware.large_pictures(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # about what an error says, or nobody asked
        outcomes = talk.follow(batch, keep)
    for before, after in pages:
        if compare is not None and outcomes[0].report is not None:
            write_picture(side_by_side(before, after, reference=known), compare)
    talk.end(outcomes, compare if pages else None)


def _check_compare(compare: Path, photo: Path | None, output: str | None, single: bool) -> None:
    from toolbox.errors import ImageError
    from toolbox.files import is_file
    from toolbox.images.files.formats import check_writable

    if not single:
        raise typer.BadParameter("got --compare for several pictures, expected one")
    check_writable(compare)
    if photo is not None and is_file(photo) and is_file(compare) and compare.samefile(photo):
        raise ImageError(f"{compare}: is the input itself; give another name")
    if output is not None and compare.resolve() == Path(output).resolve():
        raise typer.BadParameter(f"got {output} for --output and --compare, expected two files")


class Talk:
    """What a run prints: each file as it comes, a summary, failures last."""

    def __init__(self, model: str, single: bool, as_json: bool, dry_run: bool, aloud: bool) -> None:
        """``aloud`` unless standard output is the picture's own."""
        self.model, self.single, self.as_json, self.dry_run, self.aloud = model, single, as_json, dry_run, aloud
        self.status = "planned" if dry_run else "restored"
        self.started = time.monotonic()

    def follow(self, batch: FilesRun, keep: Any) -> list[Outcome]:
        """Run a batch under a progress bar."""
        outcomes = []
        with _progress(batch, self.model) as (progress, ended):
            for outcome in batch.run(progress, keep):
                ended(outcome)
                outcomes.append(outcome)
                self._tell(outcome)
        return outcomes

    def _tell(self, outcome: Outcome) -> None:
        name, report = str(outcome.source), outcome.report
        if report is None:
            if outcome.skipped is not None and not self.as_json:
                self._say(f"skipped {name}: {outcome.skipped} is there")
            return
        for note in report.notes:
            typer.echo(f"note: {name}: {note}", err=True)
        if not self.as_json:
            told = _forecast(report, self.model) if self.dry_run else self._done(report)
            self._say(f"{name}: {told}" if self.dry_run and not self.single else told)

    def _done(self, report: FileReport) -> str:
        pages = f", {report.pages} pages" if report.pages > 1 else ""
        where = "standard output" if report.output == "-" else report.output
        return f"wrote {where} ({_sizes(report)}{pages}, {self.model}, {report.seconds:.1f} s)"

    def end(self, outcomes: list[Outcome], compare: Path | None) -> None:
        """Sum up, and tell what failed.

        Raises:
            ToolboxError: the only file failed.
            typer.Exit: one of several did.
        """
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if self.single and failed and failed[0].error is not None:
            raise failed[0].error
        if self.as_json:
            files = [self._record(outcome) for outcome in outcomes]
            whole = (
                files[0] | {"compare": None if compare is None else str(compare)} if self.single else self._sum(files)
            )
            self._say(json.dumps(whole))
        elif compare is not None and self.single:
            self._say(f"wrote {compare} (before | after)")
        elif not self.single:
            self._say(self._table(outcomes))
        for outcome in failed:
            if "--debug" in sys.argv and outcome.error is not None:
                traceback.print_exception(outcome.error)
            typer.echo(f"error: {outcome.error}", err=True)
        if failed:
            raise typer.Exit(1)

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        record: dict[str, Any] = {"input": "-" if outcome.source.path is None else str(outcome.source.path)}
        if outcome.report is None:
            status = {"status": "skipped", "output": outcome.skipped} if outcome.error is None else {"status": "failed"}
            return record | status | ({} if outcome.error is None else {"error": str(outcome.error)})
        report = {
            key: list(value) if isinstance(value, tuple) else value for key, value in vars(outcome.report).items()
        }
        return record | {"status": self.status, "model": self.model} | report

    def _sum(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        statuses = [file["status"] for file in files]
        counts = {status: statuses.count(status) for status in (self.status, "skipped", "failed")}
        return {"model": self.model, "files": files} | counts | {"seconds": round(time.monotonic() - self.started, 3)}

    def _table(self, outcomes: list[Outcome]) -> str:
        reports = [outcome.report for outcome in outcomes if outcome.report is not None]
        failed = sum(outcome.error is not None for outcome in outcomes)
        pixels = sum(report.output_size[0] * report.output_size[1] * report.pages for report in reports)
        rows = (
            ("files", len(outcomes), ""),
            (self.status, len(reports), f"{pixels / 1e6:.1f} megapixels in {time.monotonic() - self.started:.0f} s"),
            ("skipped", len(outcomes) - len(reports) - failed, ""),
            ("failed", failed, ""),
        )
        return "\n".join(f"{name:<10}{number:>6}  {more}".rstrip() for name, number, more in rows)

    def _say(self, text: str) -> None:
        typer.echo(text, err=not self.aloud)


@contextmanager
def _progress(batch: FilesRun, model: str) -> Iterator[tuple[Any, Any]]:
    """Functions to tell how far a file is, and that it has ended: a bar for all files, and one for each at work."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    shown = console.is_terminal and not batch.only_tell
    total = len(batch.sources)
    with Progress(
        *columns, console=console, transient=True, disable=not shown, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        whole = bar.add_task(f"0 of {total} files with {model}", total=total, visible=total > 1)
        parts: dict[Any, Any] = {}
        done: dict[Any, float] = {}

        def progress(source: Any, part: float) -> None:
            if source not in parts:
                parts[source] = bar.add_task(f"{source} with {model}", total=1.0)
            done[source] = part
            bar.update(parts[source], completed=part)
            bar.update(whole, completed=sum(done.values()))

        def ended(outcome: Outcome) -> None:
            done[outcome.source] = 1.0
            if outcome.source in parts:
                bar.remove_task(parts.pop(outcome.source))
            count = sum(part == 1.0 for part in done.values())
            bar.update(whole, completed=sum(done.values()), description=f"{count} of {total} files with {model}")

        yield progress, ended


def _sizes(report: FileReport) -> str:
    return "{}x{} to {}x{}".format(*report.input_size, *report.output_size)


def _forecast(report: FileReport, model: str) -> str:
    tiles = f"{report.tiles} tile{'s' if report.tiles > 1 else ''}{'' if report.exact else ', approximate'}"
    pages = f" on {report.pages} pages" if report.pages > 1 else ""
    memory = (report.memory or 0) / 1e9
    return f"{_sizes(report)} with {model}: about {memory:.1f} GB in all, {report.seconds:.0f} s, in {tiles}{pages}"
