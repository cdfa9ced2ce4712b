"""One page for each architecture of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from generator import figures
from generator.components import FOLDER as COMPONENTS
from generator.installed import architectures, kinds, specs
from generator.markdown import as_yaml, code, facts, linked, number, page, table
from generator.measured import SCALE, SIDE, MeasuredArchitecture, cells, measure_architecture
from toolbox.discovery import installed
from toolbox.records import ArchitectureInfo
from toolbox.spec import ArchitectureSpec
from toolbox.weights.file import find_weights, read_header

FOLDER = "reference/architectures"
HALVES = ("encoder", "decoder")


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every page and picture."""
    measured = {name: measure_architecture(spec) for name, spec in specs().items()}
    yield f"{FOLDER}/index.md", _index(measured)
    for info in architectures():
        yield f"{FOLDER}/{info.name}.md", _page(info, specs()[info.name], measured[info.name])
        yield f"{FOLDER}/{info.name}.svg", _picture(info, specs()[info.name], measured[info.name])


def _page(info: ArchitectureInfo, spec: ArchitectureSpec, measured: MeasuredArchitecture) -> str:
    scale = f", at ×{SCALE:g}" if measured.sizes == "any" else ""
    return page(
        info.name,
        f"{info.summary[0].upper()}{info.summary[1:]}.",
        f"![{_description(info, spec)}]({info.name}.svg)",
        _facts(info, spec, measured),
        *_run(info, measured),
        "## Spec",
        "This is the complete spec, with every default written out.",
        code(as_yaml(_shown(spec)), "yaml"),
        f"## Cost\n\nFor an input of {measured.side} × {measured.side} pixels{scale}. Memory is the most that "
        "the network holds at once besides input and weights; larger pictures are [cut into "
        "tiles](../../explanation/tiles.md). "
        f"[`toolbox bench {info.name}`](../command-line.md#toolbox-bench) measures the time on your machine. "
        "[Speed](../speed.md) has measured times.",
        _costs(spec, measured),
        *_training(info),
    )


def _facts(info: ArchitectureInfo, spec: ArchitectureSpec, measured: MeasuredArchitecture) -> str:
    sizes = {"any": "any size", "same": "the size of the input"}
    radius = measured.receptive_field
    return facts(
        {
            "paper": linked(spec.paper, info.url),
            "plugin": f"`{info.provider}`",
            "image": {1: "gray", 3: "RGB"}.get(spec.channels, f"{spec.channels} channels"),
            "output": sizes.get(str(measured.sizes), f"×{measured.sizes}"),
            "sees": "the whole image" if radius is None else f"{radius} px around an output pixel",
            "parts": ", ".join(dict.fromkeys(map(_link, spec.parts()))),
            "weights": _weights(info, measured),
        }
    )


def _costs(spec: ArchitectureSpec, measured: MeasuredArchitecture) -> str:
    rows = [
        (f"{half}: {_link(getattr(spec, half))}", f"{each.input} → {each.output}", each.parameters, each.cost)
        for half, each in zip(HALVES, (measured.encoder, measured.decoder), strict=True)
    ]
    rows.append(("both", "", measured.parameters, measured.cost))
    return table(
        ("part", "shapes", "parameters", "multiply-adds", "memory"),
        [(part, shapes, *cells(parameters, taken)) for part, shapes, parameters, taken in rows],
    )


def _shown(spec: ArchitectureSpec) -> dict[str, Any]:
    """The spec without empty keys and without the data that the page shows elsewhere."""
    data = spec.model_dump(mode="json")
    return {
        key: value for key, value in data.items() if key not in ("summary", "paper") and value not in (None, "none", {})
    }


def _run(info: ArchitectureInfo, measured: MeasuredArchitecture) -> list[str]:
    any_size = measured.sizes == "any"
    if info.weights is not None:
        return [
            "## Run it",
            "This network ships with trained weights.",
            f"`toolbox restore photo.png -o out.png -m {info.name}{' --scale 2' if any_size else ''}`",
            f"![Before and after {info.name}](../../pictures/{info.name}.webp)",
            "[These commands](../../how-to/pictures.md) made the picture.",
        ]
    if not measured.parameters:
        return ["## Run it", f"This network needs no weights: `toolbox restore photo.png -o out.png -m {info.name}`."]
    call = "module(image, scale=2)" if any_size else "module(image)"
    return [
        "## In code",
        f"`module = toolbox.build({info.name!r})` builds the network, untrained. `{call}` restores an image.",
    ]


def _weights(info: ArchitectureInfo, measured: MeasuredArchitecture) -> str:
    if info.weights is not None:
        return "trained, shipped with the plugin"
    return "none needed" if not measured.parameters else "none shipped"


def _training(info: ArchitectureInfo) -> list[str]:
    if info.weights is None:
        return []
    record = read_header(find_weights(info.name, installed())).training
    plain = {key: as_yaml(value).strip() if isinstance(value, dict) else value for key, value in record.items()}
    rows = {key: value.replace("\n", "; ") if isinstance(value, str) else value for key, value in plain.items()}
    return [
        "## How it was trained",
        "The header of the weights file holds this record, and `toolbox show` prints it.",
        facts({key: f"`{value}`" if isinstance(value, str) and ":" in value else value for key, value in rows.items()}),
    ]


def _link(part: Any) -> str:
    return f"[{part.name}](../{COMPONENTS.rsplit('/', 1)[-1]}/{part.info.kind}/{part.name}.md)"


def _picture(info: ArchitectureInfo, spec: ArchitectureSpec, measured: MeasuredArchitecture) -> str:
    data = spec.model_dump(mode="json")
    encoder, decoder = (figures.box_of(getattr(spec, half).info.kind, data[half], kinds()) for half in HALVES)
    notes = {}
    if (data["normalization"]["mean"], data["normalization"]["std"]) != (0.0, 1.0):
        notes["normalization"] = "normalized"
    if spec.global_skip != "none":
        notes["skip"] = "the input itself" if measured.sizes == "same" else f"the input, {spec.global_skip}"
    sizes = {"same": "H × W", "any": "H′ × W′"}.get(str(measured.sizes), f"{measured.sizes}H × {measured.sizes}W")
    return figures.architecture(
        encoder,
        decoder,
        image=f"{spec.channels} × H × W",
        features=f"{measured.encoder.output.split(' × ')[0]} × H × W",
        output=f"{spec.decoded_channels} × {sizes}",
        notes=notes,
        description=_description(info, spec),
    )


def _description(info: ArchitectureInfo, spec: ArchitectureSpec) -> str:
    names = [part.name for part in spec.encoder.parts()], [part.name for part in spec.decoder.parts()]
    encoder, decoder = (" of ".join(part) for part in names)
    skip = "; the input is added to the result" if spec.global_skip != "none" else ""
    return f"{info.name}: encoder {encoder} feeds decoder {decoder}{skip}"


def _index(measured: dict[str, MeasuredArchitecture]) -> str:
    rows = [
        (
            f"[{info.name}]({info.name}.md)",
            specs()[info.name].encoder.name,
            specs()[info.name].decoder.name,
            {"any": "any", "same": "same"}.get(str(measured[info.name].sizes), f"×{measured[info.name].sizes}"),
            f"{measured[info.name].parameters:,}",
            number(measured[info.name].cost.multiply_adds),
            _weights(info, measured[info.name]).split(",")[0].replace("none shipped", ""),
        )
        for info in architectures()
    ]
    return page(
        "Architectures",
        "These are the named networks of the [catalog](../spec.md#a-catalog). `toolbox.build(NAME)` builds each of "
        "them. Networks with trained weights, and those that need none, can restore pictures at once.",
        table(("name", "encoder", "decoder", "sizes", "parameters", "multiply-adds", "weights"), rows),
        f"Multiply-adds are for an input of {SIDE} × {SIDE} pixels or the next size that the network takes, "
        f"at ×{SCALE:g} if it takes any.",
    )
