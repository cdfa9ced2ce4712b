"""``toolbox show``: anything with a name, or a weights file, in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbox.cli.options import Catalog, Json, parse_size, registries_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolbox.records import ComponentInfo


def show(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME",
            help="An architecture, a component, a weights file, hf://user/repo or a spec (JSON, or a YAML or JSON "
            "file); or protocol, metric, degradation, loss or dataset, and its name.",
        ),
    ],
    catalog: Catalog = None,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Image size for shapes and multiply-adds.")
    ] = "64x64",
    as_json: Json = False,
) -> None:
    """Show a network or a component.

    A network is shown part by part, with shapes, parameters and multiply-adds, and with the origin of its weights.
    Components, protocols and degradations are shown with their settings and sources.
    """
    from toolbox.cli.show_network import describe_network, print_network
    from toolbox.files import is_file
    from toolbox.registry import NAMED

    registries = registries_with(catalog)
    if len(words) == 2 and words[0] in NAMED:
        _show_record(words[0], getattr(registries, NAMED[words[0]])[words[1]], as_json)
        return
    if len(words) > 1:
        raise typer.BadParameter(f"got {' '.join(words)!r}, expected one name, or a kind such as protocol and a name")
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
    print_network(facts)


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
    typer.echo("\n".join(_settings(component_schema(info)["properties"])))


def _settings(properties: dict[str, Any]) -> Iterator[str]:
    """Print the settings, one per line."""
    yield "settings:"
    for key, setting in properties.items():
        if key != "name":
            default = f" (default {json.dumps(setting['default'])})" if "default" in setting else ""
            yield f"  {key}{default}  {setting.get('description', '')}".rstrip()


def _show_record(kind: str, info: Any, as_json: bool) -> None:
    """A protocol, metric, degradation, loss or dataset, with its settings if it has any."""
    from toolbox.evaluation.metrics import describe as describe_metric
    from toolbox.evaluation.protocols import describe as describe_protocol
    from toolbox.schema import settings_schema

    if kind in ("protocol", "metric"):
        more = describe_protocol(info) if kind == "protocol" else describe_metric(info)
        facts = {"name": info.name, "summary": info.summary, **more}
        lines = [f"{key:>14}  {value}" for key, value in more.items()]
    else:
        settings = settings_schema(info.config).get("properties", {})
        facts = {"name": info.name, "plugin": info.provider, "summary": info.summary, "source": info.source}
        facts |= {"settings": settings}
        lines = [f"{info.source}\n", *_settings(settings)]
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    head = f"{info.name}: {info.summary}\n" if kind == "protocol" else f"{info.name}: {kind} of {info.provider}"
    typer.echo("\n".join([head, *([] if kind == "protocol" else [info.summary]), *lines]))
