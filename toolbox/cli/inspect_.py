"""``toolbox inspect``: what pictures suffer from, before anything is restored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from toolbox.cli.options import Json

if TYPE_CHECKING:
    from toolbox.images.inspection.inspect import Inspection


def inspect_(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE", help="Files, folders, patterns such as 'scans/*.tif', or -."),
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders recursively.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what pictures suffer from, and the models that Toolbox would take.

    Toolbox estimates the noise in levels of 255, the quality of the worst JPEG that the picture was, the blur of its
    edges in pixels and the share of clipped values. The picture itself stays as it is.
    """
    import io
    import sys

    from toolbox.errors import ImageError
    from toolbox.files import printable
    from toolbox.images.files.reading import opened
    from toolbox.images.inspection.inspect import inspect_file
    from toolbox.images.jobs import find_sources

    records, failures = [], []
    for source in find_sources(inputs, recursive, None).sources:
        data = source.path if source.path is not None else io.BytesIO(sys.stdin.buffer.read())
        try:
            with opened(data, str(source)) as file:
                seen = inspect_file(file)
        except ImageError as error:
            failures.append(printable(error))
            records.append({"input": str(source), "error": printable(error)})
            continue
        records.append({"input": str(source), **seen.record()})
        if not as_json:
            typer.echo(f"{source!s}: {_sentence(seen)}")
    if as_json:
        typer.echo(json.dumps(records, indent=2))
    for sentence in failures:
        typer.echo(f"error: {sentence}", err=True)
    if failures:
        raise typer.Exit(1)


def _sentence(seen: Inspection) -> str:
    width, height = seen.size
    color = "gray" if seen.channels == 1 else "color"
    jpeg = "no JPEG" if seen.jpeg is None else f"JPEG of quality {seen.jpeg}"
    blur = "no edges" if seen.blur is None else f"blur of {seen.blur:.1f} px"
    clipping = f"{seen.black:.1%} black, {seen.white:.1%} white"
    same, resized = seen.choice(), seen.choice(resizes=True)
    models = " then ".join(same.models) or "leave it as it is"
    return (
        f"{width}x{height}, {color}, {seen.bits} bits; noise of σ = {seen.noise:.1f}, {jpeg}, {blur}, {clipping}; "
        f"{same.reason}: {models}, or with a size {' then '.join(resized.models)}"
    )
