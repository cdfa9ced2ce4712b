"""``toolbox compare``: pictures side by side on one sheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from toolbox.cli.options import Json


def compare(
    photos: Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Two or more pictures.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="File to write.")],
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="PICTURE", help="Ground truth; each picture is shown with its PSNR."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw pictures side by side.

    The sheet shows each picture whole, and magnified where the pictures differ most. Pictures are resized bicubically
    to the reference, or else to the largest of them; the sheet says so.
    """
    from toolbox.errors import ImageError
    from toolbox.files import is_file, printable
    from toolbox.images.comparison import draw_comparison as drawn
    from toolbox.images.files.picture import check_writable, read_picture, write_picture

    if len(photos) < 2:
        raise typer.BadParameter("got one picture, expected two or more")
    check_writable(output)
    for path in (*photos, *([reference] if reference is not None else [])):
        if is_file(path) and is_file(output) and output.samefile(path):
            raise ImageError(f"{output} is one of the pictures; choose another name")
    names = [printable(path.name) for path in photos]
    labels = names if len(set(names)) == len(names) else [printable(path) for path in photos]
    pictures = [read_picture(path) for path in photos]
    comparison = drawn(pictures, labels, None if reference is None else read_picture(reference))
    write_picture(comparison.sheet, output)
    if not as_json:
        scores = [f"{label} {psnr:.2f} dB" for label, psnr in zip(labels, comparison.psnr or (), strict=False)]
        typer.echo(f"wrote {printable(output)}" + f" (PSNR: {', '.join(scores)})" * bool(scores))
        return
    left, top, right, bottom = comparison.detail
    report: dict[str, Any] = {
        "output": printable(output),
        "reference": None if reference is None else printable(reference),
        "pictures": [
            {"path": printable(path), "size": list(picture.size)}
            for path, picture in zip(photos, pictures, strict=True)
        ],
        "detail": {"left": left, "top": top, "width": right - left, "height": bottom - top},
    }
    for entry, psnr in zip(report["pictures"], comparison.psnr or (), strict=False):
        entry["psnr"] = psnr if psnr < float("inf") else None  # JSON has no infinity: they are equal
    typer.echo(json.dumps(report))
