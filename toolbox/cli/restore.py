"""``toolbox restore``: one picture in, a better one out."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_scale, parse_size, registries_with

if TYPE_CHECKING:
    from toolbox.registry import Registries
    from toolbox.restorer import Restorer


def restore(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The picture to restore.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="The file to write; not needed to --dry-run.")
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
        Any, typer.Option("--scale", metavar="N", parser=parse_scale, help="Output over input size, such as 2.5.")
    ] = None,
    size: Annotated[
        Any, typer.Option("--size", metavar="WxH", parser=parse_size, help="Output size in pixels.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="PICTURE", help="Also write before | after side by side.")
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
    """Remove the noise of a picture, or enlarge it when --scale or --size is given.

    A gray model restores the channels of a color picture one by one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from toolbox.errors import ImageError
    from toolbox.files import is_file
    from toolbox.images.compare import side_by_side
    from toolbox.images.picture import check_writable, read_picture, write_picture
    from toolbox.images.restore import DENOISER, ENLARGER, as_array, plan_for, restore_planned, to_image

    if output is None and not dry_run:
        raise typer.BadParameter("got no --output, expected the name of the file to write")
    if scale is not None and size is not None:
        raise typer.BadParameter("got --scale and --size, expected one of them")
    for target in (output, compare):
        if target is not None:
            check_writable(target)
            if is_file(photo) and is_file(target) and target.samefile(photo):
                raise ImageError(f"{target}: is the input itself; give another name")
    if output is not None and compare is not None and compare.resolve() == output.resolve():
        raise typer.BadParameter(f"got {output} for --output and --compare, expected two files")
    before = read_picture(photo)
    name = model or (DENOISER if scale is None and size is None else ENLARGER)
    restorer = find_model(name, registries_with(catalog))

    pixels = as_array(before)
    plan = plan_for(restorer, pixels, scale, size, max_memory, halo, estimate_small=dry_run)
    height, width = plan.size
    report: dict[str, Any] = {
        "input": str(photo),
        "output": None if output is None else str(output),
        "compare": None if compare is None else str(compare),
        "model": name,
        "input_size": list(before.size),
        "output_size": [width, height],
        "tiles": plan.tiles,
        "exact": plan.exact,
    }
    sizes = f"{before.width}x{before.height} to {width}x{height}"
    if dry_run or output is None:
        report |= {"memory": plan.memory, "seconds": plan.seconds}
        tiles = f"{plan.tiles} tile{'s' if plan.tiles > 1 else ''}{'' if plan.exact else ', approximate'}"
        memory, seconds = (plan.memory or 0) / 1e9, plan.seconds or 0
        told = f"{sizes} with {name}: about {memory:.1f} GB in all, {seconds:.0f} s, in {tiles}"
        typer.echo(json.dumps(report) if as_json else told)
        return
    started = time.monotonic()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{photo.name} with {name}", total=None)
        after = to_image(
            restore_planned(restorer, pixels, plan, lambda done, steps: bar.update(task, completed=done, total=steps))
        )
    report["seconds"] = round(time.monotonic() - started, 3)
    write_picture(after, output)
    if compare is not None:
        write_picture(side_by_side(before, after), compare)
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(f"wrote {output} ({sizes}, {name}, {report['seconds']:.1f} s)")
    if compare is not None:
        typer.echo(f"wrote {compare} (before | after)")


def find_model(name: str, registries: Registries) -> Restorer:
    """The trained model; one of the user's own catalog may be untrained, which a warning says."""
    import torch

    from toolbox.files import is_file
    from toolbox.plugins import registries as installed
    from toolbox.restorer import build
    from toolbox.weights.file import load

    theirs = name in registries.architectures and name not in installed().architectures
    if is_file(Path(name)) or not theirs or registries.architectures[name].weights is not None:
        return load(name, registries=registries)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        restorer = build(name, registries=registries).eval()
    if next(restorer.parameters(), None) is not None:
        warnings.warn(
            f"{name!r} has no weights: it restores with random ones; train it, and add `weights: FILE` to its entry",
            stacklevel=2,
        )
    return restorer
