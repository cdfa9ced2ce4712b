"""``toolbox show``: one architecture, component, protocol, degradation or weights file in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_size, registries_with

if TYPE_CHECKING:
    from toolbox.records import ComponentInfo, DegradationInfo, ProtocolInfo


def show(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="An architecture, a component, a weights file, protocol NAME, degradation NAME."
        ),
    ],
    catalog: Catalog = None,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="The image that shapes and multiply-adds are for.")
    ] = "64x64",
    as_json: Json = False,
) -> None:
    """Show a network part by part: shapes, parameters, multiply-adds; and where its weights come from."""
    from toolbox.cli.show_network import describe_network, print_network
    from toolbox.files import is_file

    registries = registries_with(catalog)
    if words[:-1] == ["protocol"]:
        _show_protocol(registries.protocols[words[-1]], as_json)
        return
    if words[:-1] == ["degradation"]:
        _show_degradation(registries.degradations[words[-1]], as_json)
        return
    if len(words) > 1:
        raise typer.BadParameter(f"got {' '.join(words)!r}, expected one name, protocol NAME or degradation NAME")
    (name,) = words
    if not is_file(Path(name)) and name not in registries.architectures:
        for components in registries.components.values():
            if name in components:
                _show_component(components[name], as_json)
                return
    facts = describe_network(name, registries, parse_size(size))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    print_network(name, facts)


def _show_component(info: ComponentInfo, as_json: bool) -> None:
    from toolbox.schema import component_schema

    facts = {
        "name": info.name,
        "kind": info.kind,
        "plugin": info.provider,
        "summary": info.summary,
        "paper": info.paper,
        "description": info.factory.__doc__,
        "settings": component_schema(info)["properties"],
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"{info.name}: {info.kind} of {info.provider}\n{info.summary}\n{info.paper}\n\n{info.factory.__doc__}\n")
    _print_settings(component_schema(info)["properties"])


def _print_settings(properties: dict[str, Any]) -> None:
    typer.echo("settings:")
    for key, setting in properties.items():
        if key != "name":
            default = f" (default {json.dumps(setting['default'])})" if "default" in setting else ""
            typer.echo(f"  {key}{default}  {setting.get('description', '')}".rstrip())


def _show_protocol(protocol: ProtocolInfo, as_json: bool) -> None:
    from toolbox.evaluation.protocols import describe

    facts = {"name": protocol.name, "summary": protocol.summary, **describe(protocol)}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"{protocol.name}: {protocol.summary}\n")
    for key, value in list(facts.items())[2:]:
        typer.echo(f"{key:>10}  {value}")


def _show_degradation(info: DegradationInfo, as_json: bool) -> None:
    from toolbox.schema import settings_schema

    settings = settings_schema(info.config).get("properties", {})
    facts = {"name": info.name, "plugin": info.provider, "summary": info.summary, "source": info.source}
    if as_json:
        typer.echo(json.dumps({**facts, "settings": settings}, indent=2))
        return
    typer.echo(f"{info.name}: degradation of {info.provider}\n{info.summary}\n{info.source}\n")
    _print_settings(settings)
