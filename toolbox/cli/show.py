"""``toolbox show``: one architecture, component, protocol, degradation or weights file in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from toolbox.cli.options import Catalog, Json, registries_with

if TYPE_CHECKING:
    from rich.tree import Tree

    from toolbox.registry import ComponentInfo, DegradationInfo, ProtocolInfo, Registries
    from toolbox.restorer import Restorer


def show(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="An architecture, a component, a weights file, protocol NAME, degradation NAME."
        ),
    ],
    catalog: Catalog = None,
    as_json: Json = False,
) -> None:
    """Show a spec tree with parameters and receptive field, and where the weights come from."""
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
    facts, restorer = _describe(name, registries)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    _print(name, facts, restorer)


def _describe(name: str, registries: Registries) -> tuple[dict[str, Any], Restorer]:
    import torch

    from toolbox.files import is_file
    from toolbox.restorer import Restorer, resolve
    from toolbox.weights.file import find_weights, read_header

    architecture = None
    if not is_file(Path(name)):
        architecture = registries.architectures[name]
    header = None
    if architecture is None or architecture.weights is not None:
        header = read_header(find_weights(name, registries))
    spec = resolve(header.spec if header else name, registries=registries)
    with torch.device("meta"):  # nothing is computed, so nothing is allocated
        restorer = Restorer(spec)
    facts = {
        "name": name,
        "summary": spec.summary,
        "paper": spec.paper,
        "plugin": architecture.provider if architecture else None,
        "parameters": sum(parameter.numel() for parameter in restorer.parameters()),
        "receptive_field": restorer.receptive_field,
        "sizes": restorer.sizes,
        "weights": str(find_weights(name, registries)) if header else None,
        "training": header.training if header else {},
        "spec": spec.model_dump(mode="json"),
    }
    return facts, restorer


def _show_component(info: ComponentInfo, as_json: bool) -> None:
    from toolbox.cli.schema import component_schema

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
    _tell_settings(component_schema(info)["properties"])


def _tell_settings(properties: dict[str, Any]) -> None:
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
    from toolbox.cli.schema import settings_schema

    settings = settings_schema(info.config).get("properties", {})
    facts = {"name": info.name, "plugin": info.provider, "summary": info.summary, "source": info.source}
    if as_json:
        typer.echo(json.dumps({**facts, "settings": settings}, indent=2))
        return
    typer.echo(f"{info.name}: degradation of {info.provider}\n{info.summary}\n{info.source}\n")
    _tell_settings(settings)


def _print(name: str, facts: dict[str, Any], restorer: Restorer) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    radius, sizes = facts["receptive_field"], facts["sizes"]
    tree = Tree(f"[bold]{escape(name)}[/bold]  {escape(facts['summary'])}")
    for part in ("encoder", "decoder"):
        count = sum(parameter.numel() for parameter in getattr(restorer, part).parameters())
        branch = tree.add(f"{part}: [bold]{facts['spec'][part]['name']}[/bold]  {count:,} parameters")
        _add_settings(branch, facts["spec"][part])
    console = Console()
    console.print(tree)
    console.print()
    lines = {
        "parameters": f"{facts['parameters']:,}",
        "receptive field": "the whole image" if radius is None else f"{radius} px around an output pixel",
        "sizes": sizes if isinstance(sizes, str) else f"×{sizes}",
        "image": "gray" if facts["spec"]["channels"] == 1 else f"{facts['spec']['channels']} channels",
        "normalization": ", ".join(f"{key} {value}" for key, value in facts["spec"]["normalization"].items()),
        "global skip": facts["spec"]["global_skip"],
        "paper": facts["paper"],
        "plugin": facts["plugin"] or "",
        "weights": facts["weights"] or ("none needed" if not facts["parameters"] else "none ship with it"),
    }
    lines |= {f"trained: {key}": _flat(value) for key, value in facts["training"].items()}
    for key, value in lines.items():
        console.print(f"{key:>24}  {value}", highlight=False, markup=False)


def _flat(value: Any) -> str:
    """A value in one line; a mapping as YAML has it."""
    if not isinstance(value, dict):
        return str(value)
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()


def _add_settings(branch: Tree, settings: dict[str, Any]) -> None:
    for key, value in settings.items():
        if key == "name" or value in (None, []):
            continue
        if isinstance(value, dict) and "name" in value:
            _add_settings(branch.add(f"{key}: [bold]{value['name']}[/bold]"), value)
        elif isinstance(value, dict):
            branch.add(f"{key}: " + ", ".join(f"{k} {v}" for k, v in value.items()))
        else:
            branch.add(f"{key}: {value}")
