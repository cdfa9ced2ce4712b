"""One page for each component, with the paper, the settings, a picture, the cost and its uses."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from generator import figures
from generator.installed import PLURAL, components, kinds, uses
from generator.markdown import as_yaml, code, facts, linked, page, table
from generator.measured import SCALE, SIDE, Measured, cells, measure
from generator.settings import settings
from toolbox.benchmarking.bench import TIMED
from toolbox.config import KINDS, Kind, validated
from toolbox.discovery import installed
from toolbox.errors import SpecError
from toolbox.records import ComponentInfo

FOLDER = "reference/components"
DEFAULTS = "its defaults"  # the settings on a page
ENCODER = """An encoder turns an image into features of the same height and width. It says how many channels they have
and how far one of them sees."""
TRANSITION = """A transition is the function that a recurrent wrapper repeats. It takes one state, and the correlation
of the state before, to the next."""
NONLOCAL_BLOCK = """A non-local block lets every pixel gather from pixels that look like it, and keeps the shape of the
features. It can pass its correlation on to the next block."""
# The description, inputs and outputs of each kind.
CONTRACT: dict[Kind, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "encoder": (
        ENCODER,
        ("image B × C × H × W",),
        ("features B × {out} × H × W",),
    ),
    "recurrent-wrapper": (
        "A recurrent wrapper is an encoder that runs one transition several times with shared weights.",
        ("image B × C × H × W",),
        ("features B × {out} × H × W",),
    ),
    "transition": (
        TRANSITION,
        ("state B × {channels} × H × W", "stem B × {channels} × H × W", "correlation or None"),
        ("state B × {channels} × H × W", "correlation or None"),
    ),
    "nonlocal-block": (
        NONLOCAL_BLOCK,
        ("features B × C × H × W", "correlation or None"),
        ("features B × C × H × W", "correlation or None"),
    ),
    "decoder": (
        "A decoder turns features into an image of the requested size. It says which sizes it accepts.",
        ("features B × {features} × H × W", "size (H′, W′)"),
        ("image B × C × H′ × W′",),
    ),
}


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page and picture."""
    yield f"{FOLDER}/index.md", _index()
    for kind in KINDS:
        yield f"{FOLDER}/{kind}/index.md", _kind_index(kind)
        for info in components(kind):
            yield f"{FOLDER}/{kind}/{info.name}.md", _page(info)
            yield f"{FOLDER}/{kind}/{info.name}.svg", _picture(info)


def example(info: ComponentInfo) -> tuple[Any, str]:
    """A config to show, and its origin: the defaults, or the example if a setting has no default."""
    try:
        return validated(info.config, {}, installed()), DEFAULTS
    except SpecError:
        return validated(info.config, info.example, installed()), "its example settings"


def _page(info: ComponentInfo) -> str:
    config, whose = example(info)
    users = uses().get((info.kind, info.name), [])
    links = ", ".join(f"[{name}](../../architectures/{name}.md)" for name in users)
    presets = [(f"`preset: {name}`", f"`{_flat(fields)}`") for name, fields in info.config.presets.items()]
    return page(
        info.name,
        f"{info.summary[0].upper()}{info.summary[1:]}.",
        f"![{_description(info)}]({info.name}.svg)",
        facts(
            {
                "kind": f"[{info.kind}](index.md)",
                "paper": linked(info.paper, info.url),
                "plugin": f"`{info.provider}`",
                **_says(info),
            }
        ),
        "## Settings",
        settings(info.config, ".."),
        table(("preset", "stands for"), presets),
        f"## Spec\n\nThis is the complete spec with {whose}:",
        code(as_yaml({"name": info.name, **config.model_dump(mode="json")}), "yaml"),
        "## Cost",
        _cost(info, config, whose),
        "## Used by",
        f"{links}." if links else "No architecture of the catalog uses it.",
        "## In code",
        _object(info),
    )


def _cost(info: ComponentInfo, config: Any, whose: str) -> str:
    how = ", one state" if info.kind == "transition" else ""
    if info.kind == "decoder" and config.sizes() == "any":
        how = f", at ×{SCALE:g}"
    timed = ""
    if info.kind in TIMED and whose == DEFAULTS:
        timed = f" [`toolbox bench {info.name}`](../../command-line.md#toolbox-bench) measures the time."
    measured = _measured(info)
    head = ("input", "output", "parameters", "multiply-adds", "memory")
    row = (measured.input, measured.output, *cells(measured.parameters, measured.cost))
    return (
        f"With the settings above, for an input of {SIDE} × {SIDE} pixels{how}. Memory is the most that the component "
        f"holds at once besides input and weights.{timed}\n\n{table(head, [row])}"
    )


def _says(info: ComponentInfo) -> dict[str, object]:
    """The facts that the config states before any tensor exists."""
    config = example(info)[0]
    radius = config.receptive_field()
    promises: dict[str, object] = {"sees": "the whole image" if radius is None else f"{radius} px around a pixel"}
    if info.kind == "decoder":
        sizes = config.sizes()
        promises["sizes"] = {"any": "any", "same": "that of the features"}.get(sizes, f"×{sizes}")
    if info.kind in ("encoder", "recurrent-wrapper"):
        promises["gives"] = f"{config.out_channels(3)} channels for an RGB image"
    return promises


def _object(info: ComponentInfo) -> str:
    """The directive of mkdocstrings for the docstring and source of a component."""
    path = f"{info.factory.__module__}.{info.factory.__qualname__}"
    options = "    options:\n      heading_level: 3\n      members: [forward, query]\n      show_root_full_path: true"
    return f"::: {path}\n{options}"


def _picture(info: ComponentInfo) -> str:
    config, _ = example(info)
    box = figures.box_of(info.kind, {"name": info.name, **config.model_dump(mode="json")}, kinds())
    _, inputs, outputs = CONTRACT[info.kind]
    measured = _measured(info)
    names = {
        "out": measured.output.split(" × ")[0],
        "features": measured.input.split(" × ")[0],
        "channels": getattr(config, "channels", "C"),
    }
    return figures.component(
        box, [each.format(**names) for each in inputs], [each.format(**names) for each in outputs], _description(info)
    )


def _description(info: ComponentInfo) -> str:
    _, inputs, outputs = CONTRACT[info.kind]
    clean = [" and ".join(label.split(" B ×")[0] for label in labels) for labels in (inputs, outputs)]
    return f"{info.name}: {clean[0]} go in, {clean[1]} come out"


@functools.cache
def _measured_of(kind: str, name: str) -> Measured:
    info = installed().components[kind][name]  # type: ignore[index]  # one of KINDS
    return measure(info, example(info)[0])


def _measured(info: ComponentInfo) -> Measured:
    return _measured_of(info.kind, info.name)


def _flat(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in fields.items())


def _kind_index(kind: Kind) -> str:
    rows = [
        (f"[{info.name}]({info.name}.md)", info.summary, linked(info.paper, info.url), f"`{info.provider}`")
        for info in components(kind)
    ]
    title = PLURAL[kind]
    return page(
        f"{title[0].upper()}{title[1:]}",
        CONTRACT[kind][0],
        table(("name", "description", "paper", "plugin"), rows),
    )


def _index() -> str:
    hook = "[`toolbox_components`](../hooks.md#toolbox.hookspecs.toolbox_components)"
    blocks = [f"A spec can name these parts. A plugin adds more by the hook {hook}."]
    for kind in KINDS:
        rows = [(f"[{info.name}]({kind}/{info.name}.md)", info.summary) for info in components(kind)]
        title = PLURAL[kind]
        blocks += [
            f"## [{title[0].upper()}{title[1:]}]({kind}/index.md)",
            CONTRACT[kind][0],
            table(("name", "description"), rows),
        ]
    return page("Components", *blocks)
