"""Options of several commands, and parsers of their values."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from toolbox.registry import Registries

Catalog = Annotated[
    list[Path] | None, typer.Option("--catalog", metavar="YAML", help="A catalog of your own. Repeat it for several.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="float32, float16, float64 or, to restore, bfloat16. Default: that of the weights.",
    ),
]


def registries_with(catalogs: list[Path] | None) -> Registries:
    """The installed registries with the architectures of the user's own catalogs."""
    from toolbox.discovery import installed_with

    return installed_with(catalogs or ())


def parse_scale(text: str) -> float:
    """A scale factor such as 2 or 2.5."""
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale > 0):
        raise typer.BadParameter(f"got {text!r}, expected a positive number such as 2.5")
    return scale


def parse_scales(text: str) -> float | tuple[float, float]:
    """A scale factor, or two of them, horizontal x vertical → (vertical, horizontal)."""
    across, *down = re.split("[xX×]", text)
    if not down:
        return parse_scale(across)
    if len(down) > 1:
        raise typer.BadParameter(f"got {text!r}, expected a positive number such as 2.5, or two such as 2x3")
    return parse_scale(down[0]), parse_scale(across)


Scale = Annotated[
    Any,
    typer.Option(
        "--scale",
        metavar="N",
        parser=parse_scales,
        help="Output size divided by input size, such as 2.5, or 2x3 for width x height.",
    ),
]


def parse_condition(text: str) -> tuple[str, float]:
    """NAME=N, such as quality=30."""
    name, _, written = text.partition("=")
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise typer.BadParameter(f"got {text!r}, expected NAME=NUMBER, such as quality=30")
    return name, value


def parse_size(text: str) -> tuple[int, int]:
    """A size WxH in pixels → (height, width)."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if width < 1 or height < 1:
        raise typer.BadParameter(f"got {text!r}, expected WIDTHxHEIGHT in pixels, such as 1920x1080")
    return height, width


def parse_box(text: str) -> tuple[int, int, int, int]:
    """A region X,Y,W,H in pixels → (top, left, height, width)."""
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text)
    left, top, width, height = (int(each) for each in match.groups()) if match else (0, 0, 0, 0)
    if width < 1 or height < 1:
        raise typer.BadParameter(f"got {text!r}, expected X,Y,WIDTH,HEIGHT in pixels, such as 100,50,200,200")
    return top, left, height, width
