"""``toolbox doctor``: check the installation and every plugin."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from toolbox.cli.options import Json

if TYPE_CHECKING:
    from toolbox.inspection.findings import Inspection


def doctor(
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.1, help="Seconds that importing the plugins may take.")
    ] = 20.0,
    as_json: Json = False,
) -> None:
    """Check the installation and every plugin.

    The command prints versions, devices and plugins. It imports the plugins in another process, so that it can name
    one that hangs or crashes. The exit code is 1 if something is wrong.
    """
    from toolbox.inspection.inspect import inspect

    found = inspect(time_limit)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        _print(found)
    raise typer.Exit(1 if found.faults else 0)


def _print(found: Inspection) -> None:
    for name, version in found.versions.items():
        typer.echo(f"{name:>10}  {version}")
    typer.echo(f"{'devices':>10}  {', '.join(found.devices)}")
    typer.echo(f"{'threads':>10}  {found.threads}\n")
    for plugin in found.plugins:
        typer.echo(f"{plugin.plugin}  {plugin.package} {plugin.version}, {plugin.file}")
        for what, names in plugin.brings.items():
            typer.echo(f"  {what}: {', '.join(names)}")
    if found.left_out:
        typer.echo(f"left out by TOOLBOX_PLUGINS: {', '.join(found.left_out)}")
    typer.echo("")
    for fault in found.faults:
        typer.echo(f"fault: {fault}")
    typer.echo(f"{len(found.faults)} fault{'s' * (len(found.faults) != 1)}")
