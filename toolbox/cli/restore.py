"""``toolbox restore``: pictures in, better ones out."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Dtype, Json, Scale, parse_box, parse_condition, parse_size, registries_with
from toolbox.cli.restore_output import RestoreOutput
from toolbox.machine_load import Load, threads_for

if TYPE_CHECKING:
    from PIL import Image

    from toolbox.images.engine.request import Geometry, Request
    from toolbox.images.files.page import Page
    from toolbox.images.jobs import Output, Source
    from toolbox.images.models import ChosenNetworks
    from toolbox.images.preview import Box
    from toolbox.images.restore_file import Networks, Settings
    from toolbox.images.restore_files import FilesRun
    from toolbox.images.sharding import Shard
    from toolbox.images.watching import WatchedFolders
    from toolbox.registry import Registries
    from toolbox.restorer import Restorer


def restore(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE",
            help="Files, folders, patterns such as 'scans/*.tif', or - for standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A file, a folder (out/), - for standard output, or a pattern such as "
            "'{folder}/{stem}_x{scale}{suffix}', which may also contain {width}, {height} and {model}. "
            "Not needed with --dry-run.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A name (see `toolbox models`), a weights file, hf://user/repo on the Hugging Face Hub, or an ONNX "
            "file of `toolbox export`; repeat it to run several in a row. Default: by what Toolbox sees, photo to "
            "clean, diinn-lite to resize, and none for a clean picture.",
        ),
    ] = None,
    scale: Scale = None,
    size: Annotated[
        Any, typer.Option("--size", metavar="WxH", parser=parse_size, help="Output size in pixels.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", metavar="PX", min=1, help="Output width; the height follows.")
    ] = None,
    height: Annotated[
        int | None, typer.Option("--height", metavar="PX", min=1, help="Output height; the width follows.")
    ] = None,
    long_edge: Annotated[
        int | None,
        typer.Option("--long-edge", metavar="PX", min=1, help="Longer side of the output; the shorter one follows."),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            min=0,
            help="Noise level of 255, for models that need it, or in the place of what Toolbox sees.",
        ),
    ] = None,
    condition: Annotated[
        list[Any] | None,
        typer.Option(
            "--condition",
            metavar="NAME=N",
            parser=parse_condition,
            help="What else a model needs to know, see `toolbox show MODEL`; may be repeated.",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option("--strength", metavar="N", help="Share of the restored picture in the result, from 0 to 1."),
    ] = 1.0,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders recursively.")] = False,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="png, jpeg, webp, tiff, ... Default: by the suffix of OUT, or else the input's.",
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=1, max=100, help="Quality of JPEG and WebP (default 95) or AVIF (default 90)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Allow results to replace the inputs.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip pictures whose result already exists.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Restore only the I-th of N shards of the pictures, such as 3/16, by their names. So the jobs of an "
            "array share a folder.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Keep running, and restore pictures that are new or changed in the folders once complete."
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Files to restore at a time; they share the threads.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, help="Total number of threads. Default: one per free core."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps, ... Default: cpu.")
    ] = None,
    dtype: Dtype = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="PICTURE", help="Also write before and after side by side.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="PICTURE", help="Ground truth; --compare then shows it and the PSNR."),
    ] = None,
    preview: Annotated[
        Any,
        typer.Option(
            "--preview",
            metavar="X,Y,W,H",
            parser=parse_box,
            help="Restore only this region, in pixels of the picture, and write it beside the original to OUT.",
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="MEMORY", help="Memory limit of the whole process, such as 2GB."),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(
            "--halo",
            metavar="PX",
            min=0,
            help="Overlap around each tile. Less than the network's receptive field gives approximate results.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing; print the output size, and the memory and time it would take."),
    ] = False,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Clean pictures of noise and JPEG artifacts, or resize them.

    Without a model, Toolbox looks at each picture, chooses, and tells you. A clean picture stays as it is, unless you
    give a size. A gray model restores each channel of a color picture by itself. Results keep 8 or 16 bits per
    channel, alpha, EXIF, XMP, resolution and ICC profile, and all pages and frames. Each result is written completely
    or not at all, and a file that fails does not stop the others.
    """
    load = Load()  # the imports take time enough to see it
    from toolbox.images.engine import hardware
    from toolbox.images.engine.request import Request
    from toolbox.images.jobs import Found, find_sources
    from toolbox.images.restore_file import Settings
    from toolbox.images.restore_files import FilesRun, current, existing, never
    from toolbox.images.sharding import parse_shard
    from toolbox.images.watching import WatchedFolders

    geometry = _geometry(scale=scale, size=size, width=width, height=height, long_edge=long_edge)
    target = _target(inputs, output, output_format, max_memory, dry_run)
    part = None if shard is None else parse_shard(shard)
    watched = WatchedFolders(inputs, recursive, target) if watch else None
    found = Found([]) if watch else find_sources(inputs, recursive, target, None if part is None else part.__contains__)
    sources = found.sources
    single = (
        shard is None and len(inputs) == 1 and [str(each.path or "-") for each in sources] == [str(Path(inputs[0]))]
    )
    comparison = _comparison(compare, reference, sources[0].path if sources else None, output, single)
    conditions = dict(condition or []) | ({} if sigma is None else {"sigma": sigma})
    request = Request(geometry, max_memory, halo, workers, conditions, strength)
    settings = Settings(_networks(model, request, registries_with(catalog), device, dtype), request, quality)
    if preview is not None:
        with hardware.threads(threads or threads_for(load)), hardware.large_pictures():
            _write_preview(sources, single, output, settings, preview)
        return
    run = FilesRun(
        sources,
        target,
        settings,
        _streams(sources, target),
        overwrite=overwrite,
        skip=existing if skip_existing else current if watch else never,
        only_tell=dry_run or target is None,
    )
    # When the picture goes to standard output, sentences go to standard error.
    to_stderr = target is not None and target.is_standard and not dry_run
    words = RestoreOutput(found.others, single=single, as_json=as_json, dry_run=dry_run, to_stderr=to_stderr)
    with hardware.threads(threads or threads_for(load)), hardware.large_pictures(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # an error says the same, or nobody asked
        if watched is not None:
            _keep_watching(watched, part, run, words)
            return
        outcomes = words.follow(run, comparison.keep)
    written = comparison.write() if any(outcome.report is not None for outcome in outcomes) else None
    words.finish(outcomes, written)


def _keep_watching(watched: WatchedFolders, part: Shard | None, run: FilesRun, words: RestoreOutput) -> None:
    """Restore what comes, until Ctrl-C."""
    words.begin_watch(watched.folders.values())
    try:
        for complete in watched.batches():
            if chosen := [source for source in complete if part is None or source in part]:
                run.go_on(chosen)
                words.tell(run)
    except KeyboardInterrupt:
        words.end_watch()


def _networks(
    models: list[str] | None, request: Request, registries: Registries, device: str | None, dtype: str | None
) -> Networks | ChosenNetworks:
    """The named networks, or those to choose for each picture, on the device."""
    from toolbox.images.engine import hardware
    from toolbox.images.engine.chain import check_request
    from toolbox.images.models import ChosenNetworks, named_networks, sigma_alone
    from toolbox.weights.find import find_model

    def load(name: str) -> Restorer:
        return hardware.placed(find_model(name, registries), device, dtype)

    if not models:
        check_request((), request)
        return ChosenNetworks(load, resizes=request.geometry.given, sigma=sigma_alone(request.conditions))
    networks = named_networks(models, load)
    check_request(networks.restorers, request)
    return networks


def _write_preview(sources: Sequence[Source], single: bool, output: str | None, settings: Settings, box: Box) -> None:
    """Write the region before and after, side by side."""
    from toolbox.files import printable
    from toolbox.images.comparison import side_by_side
    from toolbox.images.files.formats import check_writable
    from toolbox.images.files.picture import image_of, write_picture
    from toolbox.images.preview import restore_region

    photo = sources[0].path if single else None
    if photo is None or output is None:
        raise typer.BadParameter("got --preview, expected one picture file and the file to write it to")
    path = Path(output)
    check_writable(path)
    if path.resolve() == photo.resolve():
        raise typer.BadParameter(f"got {output} for --output, expected another file than the picture")
    region = restore_region(photo, box, settings)
    write_picture(side_by_side(image_of(region.before), image_of(region.after)), path)
    seen = "" if region.networks.seen is None else f"saw {region.networks.seen}\n"
    typer.echo(f"{seen}wrote {printable(path)} (before | after, {region.networks.model})")


def _geometry(**sizes: Any) -> Geometry:
    """The requested size, stated in at most one way."""
    from toolbox.images.engine.request import Geometry

    given = [f"--{name.replace('_', '-')}" for name, value in sizes.items() if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(f"got {' and '.join(given)}, expected one of them")
    return Geometry(**sizes)


def _target(
    inputs: Sequence[str], output: str | None, output_format: str | None, max_memory: str | None, dry_run: bool
) -> Output | None:
    """The place for results. Wrong usage is refused before any work."""
    from toolbox.images.engine.plan import parse_memory
    from toolbox.images.files.formats import format_named
    from toolbox.images.jobs import output_of

    if output is None and not dry_run:
        raise typer.BadParameter("got no --output, expected the file, folder or pattern to write")
    kind = None if output_format is None else format_named(output_format)
    if max_memory is not None:
        parse_memory(max_memory)
    if output is None:
        return None
    target = output_of(output, inputs, kind)
    if target.is_standard and sys.stdout.isatty():
        raise typer.BadParameter("got - for --output at a terminal, expected a pipe or a redirection to a file")
    return target


def _streams(sources: Sequence[Source], target: Output | None) -> Any:
    """Standard input and output in bytes, but only if used, since a notebook has none."""
    from toolbox.images.restore_files import Streams

    return Streams(
        sys.stdin.buffer if any(source.path is None for source in sources) else io.BytesIO(),
        sys.stdout.buffer if target is not None and target.is_standard else io.BytesIO(),
    )


@dataclass
class BeforeAndAfter:
    """The first page before and after, for the picture of ``--compare``."""

    path: Path | None  # None: nobody asked for it
    reference: Image.Image | None
    pages: list[Image.Image] = field(default_factory=list)

    def keep(self, before: Page, after: Page) -> None:
        """Remember the first page."""
        from toolbox.images.files.picture import image_of

        if self.path is not None and not self.pages:
            self.pages = [image_of(before), image_of(after)]

    def write(self) -> Path | None:
        """Write the picture, and return its path if there was anything to write."""
        from toolbox.images.comparison import side_by_side
        from toolbox.images.files.picture import write_picture

        if self.path is None or not self.pages:
            return None
        write_picture(side_by_side(self.pages[0], self.pages[1], reference=self.reference), self.path)
        return self.path


def _comparison(
    compare: Path | None, reference: Path | None, photo: Path | None, output: str | None, single: bool
) -> BeforeAndAfter:
    """The requested comparison. One that cannot be written is refused."""
    from toolbox.errors import ImageError
    from toolbox.files import is_file
    from toolbox.images.files.formats import check_writable
    from toolbox.images.files.picture import read_picture

    if compare is None:
        if reference is not None:
            raise typer.BadParameter("got --reference without --compare, expected the file to write the comparison to")
        return BeforeAndAfter(None, None)
    truth = None if reference is None else read_picture(reference)
    if not single:
        raise typer.BadParameter("got --compare for several pictures, expected one")
    check_writable(compare)
    if photo is not None and is_file(photo) and is_file(compare) and compare.samefile(photo):
        raise ImageError(f"{compare} is the input itself; choose another name")
    if output is not None and compare.resolve() == Path(output).resolve():
        raise typer.BadParameter(f"got {output} for --output and --compare, expected two files")
    return BeforeAndAfter(compare, truth)
