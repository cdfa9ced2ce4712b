"""``toolbox convert``: a published checkpoint in, a weights file out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from toolbox.cli.options import Json


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A .pth, .pt, .ckpt, .npz, .safetensors or TensorFlow checkpoint.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help="Weights file to write.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Format of the checkpoint, if it is not recognized.")
    ] = None,
    hint: Annotated[
        list[str] | None,
        typer.Option(
            "--hint",
            metavar="KEY=VALUE",
            help="A setting that the file does not determine, such as mean_shift=true. Repeat it for several.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what was recognized, and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Convert a published checkpoint to a weights file.

    Toolbox recognizes the formats of the networks that it and its plugins have, and writes one file that describes
    itself. Nothing in the checkpoint is executed.
    """
    from toolbox.errors import WeightsError
    from toolbox.files import is_file
    from toolbox.weights.convert import build_converted, recognize
    from toolbox.weights.file import save

    if output is None and not dry_run:
        raise typer.BadParameter("expected --output OUT, or --dry-run")
    if output is not None and not output.parent.is_dir():
        raise WeightsError(f"{output}: the folder {output.parent} does not exist; create it first")
    if output is not None and is_file(output) and is_file(source) and output.samefile(source):
        raise WeightsError(f"{output} is the input itself; choose another name")
    hints = dict(_parse_hint(text) for text in hint or [])
    recognized = recognize(source, format=format_, hints=hints)
    report: dict[str, Any] = {
        "input": str(source),
        "output": None if dry_run else str(output),
        "format": recognized.converter.name,
        "plugin": recognized.converter.provider,
        "license": recognized.converter.license or None,
        "tensors": len(recognized.checkpoint.tensors),
        "spec": recognized.conversion.spec,
    }
    if output is not None and not dry_run:
        save(build_converted(recognized), output)
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(f"{source}: {report['format']} ({recognized.converter.summary}), {report['tensors']} tensors")
    typer.echo(
        yaml.safe_dump(json.loads(json.dumps(report["spec"])), sort_keys=False, default_flow_style=None).rstrip()
    )
    if report["license"]:
        typer.echo(f"its authors' license of such weights: {report['license']}")
    if not dry_run:
        typer.echo(f"wrote {output}")


def _parse_hint(text: str) -> tuple[str, Any]:
    """Parse KEY=VALUE with the value as YAML: true is a boolean, 3 a number, anything else text."""
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise typer.BadParameter(f"got {text!r}, expected KEY=VALUE, such as propagation=accumulate")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        return key, value
