"""``toolbox doctor``: what is installed, and whether any of it is broken."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import Annotated, Any

import typer

from toolbox.cli.options import Json


def doctor(
    time_limit: Annotated[
        float,
        typer.Option("--time-limit", min=0.1, help="Seconds that importing the plugins may take."),
    ] = 20.0,
    as_json: Json = False,
) -> None:
    """Show versions, devices and plugins, and check every plugin; exit code 1 when something is wrong.

    Plugins are imported in another process, so that one that hangs or crashes is named too.
    """
    from toolbox.cli.inspection import inspect
    from toolbox.entry_points import PLUGIN_GROUP, declared, selected

    brought, faults = inspect(time_limit)
    facts: dict[str, Any] = {
        **_machine(),
        "plugins": [asdict(each) for each in brought],
        "left_out": sorted(entry.name for entry in declared(PLUGIN_GROUP) if not selected(entry)),
        "faults": [asdict(each) for each in faults],
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)
        for fault in faults:
            typer.echo(f"fault: {fault}")
        typer.echo(f"{len(faults)} fault{'s' * (len(faults) != 1)}")
    raise typer.Exit(1 if faults else 0)


def _machine() -> dict[str, Any]:
    from importlib import metadata

    import torch

    from toolbox.entry_points import DISTRIBUTION

    devices = [f"cpu ({platform.processor() or platform.machine()})"]
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator()
        devices += [f"{kind}:{number}" for number in range(torch.accelerator.device_count())]
    return {
        "versions": {
            "toolbox": metadata.version(DISTRIBUTION),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "platform": platform.platform(),
        },
        "devices": devices,
        "threads": torch.get_num_threads(),
    }


def _print(facts: dict[str, Any]) -> None:
    for name, version in facts["versions"].items():
        typer.echo(f"{name:>10}  {version}")
    typer.echo(f"{'devices':>10}  {', '.join(facts['devices'])}")
    typer.echo(f"{'threads':>10}  {facts['threads']}\n")
    for plugin in facts["plugins"]:
        typer.echo(f"{plugin['plugin']}  {plugin['package']} {plugin['version']}, {plugin['file']}")
        for what, names in plugin["brings"].items():
            typer.echo(f"  {what}: {', '.join(names)}")
    if facts["left_out"]:
        typer.echo(f"left out by TOOLBOX_PLUGINS: {', '.join(facts['left_out'])}")
    typer.echo("")
