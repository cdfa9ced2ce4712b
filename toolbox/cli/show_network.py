"""Print a network in full for ``toolbox show``: a tree of its parts, and a line for each fact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from rich.tree import Tree

    from toolbox.registry import Registries

ENLARGED = 2  # the scale to show for a network that takes any


def describe_network(name: str, registries: Registries, size: tuple[int, int]) -> dict[str, Any]:
    """The facts of an architecture, a spec or a weights file, for an image of that (height, width)."""
    import torch

    from toolbox.anatomy import anatomy
    from toolbox.composition import needs_of
    from toolbox.files import is_file
    from toolbox.hub import source_of
    from toolbox.resolve import is_spec, resolve, title_of
    from toolbox.restorer import Restorer
    from toolbox.weights.file import find_weights, read_header

    architecture = header = path = None
    if not is_spec(name):
        if not is_file(Path(name)) and name in registries.architectures:
            architecture = registries.architectures[name]
        if architecture is None or architecture.weights is not None:
            path = find_weights(name, registries)
            header = read_header(path)
    spec = resolve(header.spec if header else name, registries=registries)
    with torch.device("meta"):  # so that nothing is computed or allocated
        restorer = Restorer(spec).eval()
    target = restorer.output_size(*size, scale=ENLARGED if restorer.sizes == "any" else None)
    facts = {
        "name": title_of(name),
        "summary": spec.summary,
        "paper": spec.paper,
        "plugin": architecture.provider if architecture else None,
        "parameters": sum(parameter.numel() for parameter in restorer.parameters()),
        "receptive_field": restorer.receptive_field,
        "sizes": restorer.sizes,
        **needs_of(spec),
        "weights": path and (source_of(path) or str(path)),
        "training": header.training if header else {},
        "spec": spec.model_dump(mode="json"),
    }
    parts, multiply_adds = anatomy(restorer, size, target)
    return {
        **facts,
        "input": [spec.channels, *size],
        "output": [spec.decoded_channels, *target],
        "multiply_adds": multiply_adds,
        "parts": [part.to_data() for part in parts],
    }


def print_network(facts: dict[str, Any]) -> None:
    """Print the facts from ``describe_network``."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    from toolbox.composition import needs_in_words

    radius, sizes = facts["receptive_field"], facts["sizes"]
    tree = Tree(f"[bold]{escape(facts['name'])}[/bold]  {escape(facts['summary'])}")
    parts = {part["path"]: part for part in facts["parts"]}
    for path in ("encoder", "decoder"):
        _add_settings(tree.add(_headline(path, parts[path])), facts["spec"][path], path, parts)
    console = Console()
    console.print(tree)
    console.print()
    lines = {
        "parameters": f"{facts['parameters']:,}",
        "multiply-adds": _work(facts),
        "receptive field": "the whole image" if radius is None else f"{radius} px around an output pixel",
        "sizes": sizes if isinstance(sizes, str) else f"×{sizes}",
        "image": "gray" if facts["spec"]["channels"] == 1 else f"{facts['spec']['channels']} channels",
        "normalization": ", ".join(f"{key} {value}" for key, value in facts["spec"]["normalization"].items()),
        "global skip": facts["spec"]["global_skip"],
        **needs_in_words(facts),
        "paper": facts["paper"],
        "plugin": facts["plugin"] or "",
        "weights": facts["weights"] or ("none needed" if not facts["parameters"] else "none ship with it"),
    }
    lines |= {f"trained: {key}": _flat(value) for key, value in facts["training"].items()}
    for key, value in lines.items():
        console.print(f"{key:>24}  {value}", highlight=False, markup=False)


def _flat(value: Any) -> str:
    """A value in one line, with mappings in YAML."""
    if not isinstance(value, dict):
        return str(value)
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()


def _headline(key: str, part: dict[str, Any]) -> str:
    """A part in one line: its name, shapes and cost."""
    words = [f"{key}: [bold]{part['name']}[/bold]"]
    if part["takes"] and part["gives"]:
        words.append(f"{_shape(part['takes'])} → {_shape(part['gives'])}")
    if part["calls"] > 1:
        words.append(f"{part['calls']} times")
    if part["parameters"]:
        words.append(f"{part['parameters']:,} parameters")
    if part["multiply_adds"]:
        words.append(f"{_short(part['multiply_adds'])} multiply-adds")
    return "  ".join(words)


def _work(facts: dict[str, Any]) -> str:
    if facts["multiply_adds"] is None:
        return "not known: a part runs on data only"
    return f"{_short(facts['multiply_adds'])}, {_shape(facts['input'])} → {_shape(facts['output'])}"


def _shape(shape: list[int] | tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _short(count: int) -> str:
    """Three digits and a unit: 5.62 G."""
    for unit, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * factor:
            return f"{count / factor:.3g} {unit}"
    return str(count)


def _add_settings(branch: Tree, settings: dict[str, Any], path: str, parts: dict[str, dict[str, Any]]) -> None:
    for key, value in settings.items():
        if key == "name" or value in (None, []):
            continue
        if isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value):
            numbered = {f"{key}.{number}": each for number, each in enumerate(value)}
            _add_settings(branch, numbered, path, parts)
        elif isinstance(value, dict) and "name" in value:
            inner = f"{path}.{key}"
            headline = _headline(key, parts[inner]) if inner in parts else f"{key}: [bold]{value['name']}[/bold]"
            _add_settings(branch.add(headline), value, inner, parts)
        elif isinstance(value, dict):
            branch.add(f"{key}: " + ", ".join(f"{k} {v}" for k, v in value.items()))
        else:
            branch.add(f"{key}: {value}")
