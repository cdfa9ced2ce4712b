"""``toolbox export``: a network in, a program for other runtimes out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from toolbox.cli.options import Catalog, Dtype, Json, Scale, registries_with


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name (see `toolbox list`), a weights file, or hf://user/repo.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write; .onnx or .pt2 decides its format."),
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="onnx, pt2 or spandrel. Default: the suffix of FILE decides."),
    ] = None,
    scale: Scale = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="Take the height and width of the output as inputs of the program.")
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile",
            metavar="PX",
            min=1,
            help="Fix height and width of the input. Default: any.",
        ),
    ] = None,
    compiles: Annotated[
        bool,
        typer.Option(
            "--compile", help="Add machine code for this kind of processor to a .pt2 file, with a C++ compiler."
        ),
    ] = False,
    opset: Annotated[
        int | None, typer.Option("--opset", metavar="N", help="Version of ONNX's operations, 18 to 23. Default: 18.")
    ] = None,
    dtype: Dtype = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", metavar="NAME", help="License of the weights. Default: the one that they ship with."),
    ] = None,
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Export a network for other runtimes, to ONNX, PyTorch's exported programs or programs with spandrel.

    The program has one input, pictures (B, C, H, W) in [0, 1], and one output, which is not clamped. Its metadata has
    the spec, the scale, the license, and the halo that lets a runtime cut a picture into tiles. A network of any size
    needs --scale, which becomes part of the program, or --any-size. A file for spandrel is a .safetensors file, which
    its loader takes after toolbox.integrations.spandrel.install().
    """
    from toolbox.errors import SpecError
    from toolbox.exporting.export import export as export_to
    from toolbox.exporting.export import format_for
    from toolbox.exporting.onnx_format import OPSETS
    from toolbox.exporting.request import ExportRequest
    from toolbox.images.engine import hardware
    from toolbox.weights.find import find_model
    from toolbox.weights.license import license_of

    kind = format_for(output, to)
    if opset is not None and kind != "onnx":
        raise typer.BadParameter(f"got --opset for the format {kind}, expected it for onnx alone")
    if compiles and kind != "pt2":
        raise typer.BadParameter(f"got --compile for the format {kind}, expected it for pt2 alone")
    if dtype == "bfloat16":
        raise SpecError("got dtype 'bfloat16', which few runtimes compute in; expected float32, float16 or float64")
    registries = registries_with(catalog)
    restorer = hardware.placed(find_model(model, registries), None, dtype)
    request = ExportRequest(scale, any_size, tile)
    started = time.monotonic()
    header = export_to(
        restorer,
        output,
        request,
        to=kind,
        opset=opset or OPSETS[0],
        license_=license_ or restorer.training_record.get("license") or license_of(model, registries),
        compiles=compiles,
    )
    seconds = round(time.monotonic() - started, 1)
    report: dict[str, Any] = {
        "output": str(output),
        "format": kind,
        "bytes": output.stat().st_size,
        "scale": header.scale,
        "receptive_field": header.receptive_field,
        "halo": header.halo,
        "alignment": header.alignment,
        "tile": header.tile,
        "license": header.license,
        "source": restorer.source,
        "seconds": seconds,
    }
    if as_json:
        typer.echo(json.dumps(report))
        return
    size = "x".join(["1", str(restorer.channels), *([str(tile)] * 2)]) if tile else "any batch, height and width"
    halo = "the whole picture at once" if header.halo is None else f"tiles with a halo of {header.halo} px"
    typer.echo(f"wrote {output}, {report['bytes'] / 1e6:.1f} MB: {size}; {halo}")
