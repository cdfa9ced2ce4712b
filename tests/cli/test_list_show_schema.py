"""``toolbox list``, ``show`` and ``schema``: what there is, in full, and in a form that editors read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import toolbox
from tests.cli.command import NET, Run
from tests.parts import restorer_of
from toolbox.catalog import shipped_catalog
from toolbox.cli.list_ import plural
from toolbox.cli.show_network import print_network
from toolbox.config import KINDS
from toolbox.encoders.edsr import EDSR
from toolbox.records import ComponentInfo
from toolbox.registry import NAMED

NAMES = [info.name for info in toolbox.list_architectures()]
COMPONENTS = toolbox.list_components()


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"my-net": {**NET, "summary": "from [0, 1] to [/odd] [bold]"}}), encoding="utf-8")
    return path


# list


def test_everything_is_listed(run: Run) -> None:
    text = run("list").out
    for name in [*NAMES, *(info.name for info in COMPONENTS)]:
        assert name in text


def test_everything_is_listed_for_programs(run: Run) -> None:
    data = run("list", "--json").data
    assert list(data) == ["architecture", *KINDS, *NAMED]
    assert [record["name"] for record in data["architecture"]] == NAMES
    for kind in KINDS:
        assert data[kind] == [
            {"name": info.name, "plugin": info.provider, "summary": info.summary, "paper": info.paper}
            for info in toolbox.list_components(kind)
        ]


def test_weights_that_ship_are_marked(run: Run) -> None:
    shipped = {info.name: info.weights is not None for info in toolbox.list_architectures()}
    data = run("list", "architecture", "--json").data["architecture"]
    assert {record["name"]: record["weights"] for record in data} == shipped


def test_what_runs_now_is_marked_with_its_origin_and_license(run: Run) -> None:
    data = {record["name"]: record for record in run("list", "architecture", "--json").data["architecture"]}
    assert (data["photo"]["runs"], data["photo"]["license"]) == (True, "Apache-2.0")
    assert (data["bicubic"]["runs"], data["bicubic"]["license"]) == (True, None)  # nothing to train
    assert (data["nlrn"]["runs"], data["nlrn"]["license"]) == (False, None)
    assert {record["origin"] for record in data.values()} == {record["plugin"] for record in data.values()}
    lines = {line.split()[0]: line for line in run("list", "architecture").out.splitlines() if line.strip()}
    assert " now " in lines["photo"]
    assert "Apache-2.0" in lines["photo"]
    assert " now " not in lines["nlrn"]


@pytest.mark.parametrize("kind", ["architecture", *KINDS, *NAMED])
def test_one_kind_is_listed(kind: str, run: Run) -> None:
    assert list(run("list", kind, "--json").data) == [kind]
    assert run("list", kind).out.startswith("losses" if kind == "loss" else f"{kind}s")
    assert run("list", plural(kind), "--json").data == run("list", kind, "--json").data


def test_a_kind_that_is_none_is_refused(run: Run) -> None:
    result = run("list", "lens")
    assert result.sentence == f"got kind 'lens', expected one of {', '.join(['architecture', *KINDS, *NAMED])}"
    assert result.code == 2


def test_a_catalog_of_one_s_own_is_listed_as_it_is_written(run: Run, catalog: Path) -> None:
    text = run("list", "architecture", "--catalog", catalog).out
    (line,) = (line for line in text.splitlines() if line.startswith("my-net "))
    assert line.rstrip().endswith("from [0, 1] to [/odd] [bold]")
    (record,) = (
        record
        for record in run("list", "--catalog", catalog, "--json").data["architecture"]
        if record["name"] == "my-net"
    )
    assert record["plugin"] == str(catalog)


# show


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_is_shown(name: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    facts = run("show", name, "--size", "9x8", "--json").data
    with torch.device("meta"):
        restorer = toolbox.build(facts["spec"])
    assert facts["parameters"] == sum(parameter.numel() for parameter in restorer.parameters())
    assert facts["receptive_field"] == restorer.receptive_field
    assert facts["sizes"] == restorer.sizes
    assert facts["summary"] == restorer.spec.summary
    scale = 2 if restorer.sizes == "any" else None
    assert (facts["input"], facts["output"][0]) == ([restorer.channels, 8, 9], restorer.spec.decoded_channels)
    assert facts["output"][1:] == list(restorer.output_size(8, 9, scale=scale))
    assert [part["name"] for part in facts["parts"]] == [part.name for part in restorer.spec.parts()]
    assert all(part["calls"] for part in facts["parts"])
    encoder, decoder = ({part["path"]: part for part in facts["parts"]}[path] for path in ("encoder", "decoder"))
    height, width = (side + -side % restorer.padding.multiple for side in (8, 9))  # the parts see the padded image
    decoded = restorer.output_size(height, width) if scale is None else facts["output"][1:]
    assert encoder["takes"] == [restorer.channels, height, width]
    assert decoder["gives"] == [restorer.spec.decoded_channels, *decoded]
    assert encoder["gives"] == [restorer.encoder.out_channels, height, width]
    assert decoder["takes"] == [restorer.encoder.out_channels, *((height, width) if scale is None else (8, 9))]
    assert encoder["parameters"] + decoder["parameters"] == facts["parameters"]
    print_network(facts)  # as without --json, and without measuring again
    text = capsys.readouterr().out
    for part in restorer.spec.parts():
        assert part.name in text
    assert f"{facts['parameters']:,}" in text
    assert str(facts["plugin"]) in text


def test_multiply_adds_are_those_of_every_convolution_by_hand(run: Run) -> None:
    facts = run("show", "edsr-baseline-x2", "--json").data
    pixels, channels = 64 * 64, 64
    encoder = 9 * pixels * (3 * channels + 33 * channels * channels)
    decoder = 9 * pixels * (channels * 4 * channels) + 9 * 4 * pixels * (channels * 3)
    assert [part["multiply_adds"] for part in facts["parts"]] == [encoder, decoder]
    assert facts["multiply_adds"] == encoder + decoder
    text = run("show", "edsr-baseline-x2").out
    assert "encoder: edsr  3×64×64 → 64×64×64  1,220,416 parameters  4.99 G multiply-adds" in text
    assert "multiply-adds  5.62 G, 3×64×64 → 3×128×128" in text


def test_a_part_that_is_run_again_is_counted_again(run: Run) -> None:
    parts = {part["path"]: part for part in run("show", "nlrn-lite", "--size", "16x12", "--json").data["parts"]}
    inner, transition = parts["encoder.encoder"], parts["encoder.encoder.transition"]
    block = parts["encoder.encoder.transition.nonlocal"]
    assert inner["takes"] == [4, 6, 8]  # at half the resolution
    assert (inner["calls"], transition["calls"], block["calls"]) == (1, 3, 3)
    assert transition["takes"] == transition["gives"] == [64, 6, 8]
    assert inner["multiply_adds"] > transition["multiply_adds"] > block["multiply_adds"] > 0


def test_parts_that_are_there_twice_are_told_together(run: Run, tmp_path: Path) -> None:
    block = {"name": "soft-block-matching", "neighborhood": {"kind": "window", "size": 3}, "embedding_channels": 2}
    parts = {}
    for after in ([0], [0, 1]):
        encoder = {"name": "edsr", "channels": 4, "blocks": 2, "nonlocal": block, "nonlocal_after": after}
        spec = {"channels": 3, "encoder": encoder, "decoder": "residual-conv"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"mine": spec}), encoding="utf-8")
        facts = run("show", "mine", "--catalog", tmp_path / "mine.yaml", "--json").data
        parts[len(after)] = facts["parts"][1]
    assert [part["path"] for part in parts.values()] == ["encoder.nonlocal"] * 2
    for key in ("calls", "parameters", "multiply_adds"):
        assert parts[2][key] == 2 * parts[1][key] > 0


@pytest.mark.parametrize("size", ["64", "0x4", "axb"])
def test_a_size_that_is_none_is_refused(size: str, run: Run) -> None:
    assert f"got '{size}', expected WIDTHxHEIGHT in pixels" in run("show", "nlrn", "--size", size).usage


def test_a_part_that_cannot_run_without_data_is_still_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: EDSR, image: torch.Tensor) -> torch.Tensor:
        return image * image.sum().item()

    monkeypatch.setattr(EDSR, "forward", forward)
    facts = run("show", "edsr-diinn", "--json").data
    assert (facts["multiply_adds"], facts["parts"][0]["gives"]) == (None, None)
    text = run("show", "edsr-diinn").out
    assert "encoder: edsr  1,220,416 parameters" in text
    assert "multiply-adds  not known: a part runs on data only" in text


@pytest.mark.parametrize(
    "info",
    [info for info in COMPONENTS if info.name not in NAMES],  # an architecture of the same name comes first
    ids=lambda info: f"{info.kind}-{info.name}",
)
def test_every_component_is_shown(info: ComponentInfo, run: Run) -> None:
    text = run("show", info.name).out
    assert text.startswith(f"{info.name}: ")
    data = run("show", info.name, "--json").data
    for name, field in info.config.model_fields.items():
        assert (field.alias or name) in text
        assert (field.alias or name) in data["settings"]


def test_a_weights_file_is_shown_with_how_it_was_trained(run: Run, tmp_path: Path) -> None:
    restorer, path = restorer_of(NET), tmp_path / "net.safetensors"
    restorer.training_record = {"pictures": "four photographs", "psnr": {"set": 28.25}}
    toolbox.save(restorer, path)
    facts = run("show", path, "--json").data
    assert facts["training"] == restorer.training_record
    assert facts["weights"] == str(path)
    assert facts["spec"] == restorer.spec.model_dump(mode="json")
    text = run("show", path).out
    assert "four photographs" in text
    assert "edsr" in text


def test_a_network_of_one_s_own_is_shown_as_it_is_written(run: Run, catalog: Path) -> None:
    result = run("show", "my-net", "--catalog", catalog)
    assert result.code == 0
    assert "from [0, 1] to [/odd] [bold]" in result.out
    assert "none ship with it" in result.out


@pytest.mark.parametrize("form", ["yaml", "json", "file.json"])
def test_a_spec_is_shown_in_every_form(form: str, run: Run, tmp_path: Path) -> None:
    spec = toolbox.build("edsr-baseline-x2").spec.model_dump(mode="json")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    (tmp_path / "mine.json").write_text(json.dumps(spec), encoding="utf-8")
    files = {"yaml": tmp_path / "mine.yaml", "file.json": tmp_path / "mine.json"}
    source = files.get(form, json.dumps(spec))
    facts, named = run("show", source, "--json").data, run("show", "edsr-baseline-x2", "--json").data
    assert facts["name"] == ("the spec" if form == "json" else str(source))
    assert {**facts, "name": "", "plugin": ""} == {**named, "name": "", "plugin": ""}
    assert "multiply-adds" in run("show", source).out


def test_what_a_network_needs_is_shown(run: Run) -> None:
    encoder = {"name": "pixel-unshuffle", "factor": 2, "encoder": "edsr"}
    spec = {"channels": 3, "conditions": {"sigma": {}}, "encoder": encoder, "decoder": "conv"}
    for command in ("show", "compose"):
        text = run(command, json.dumps(spec)).out
        assert re.search(r"is told +sigma\n", text)
        assert re.search(r"tiles +start at multiples of 2\n", text)
    facts = run("show", json.dumps(spec), "--json").data
    assert (facts["conditions"], facts["alignment"]) == ({"sigma": ""}, 2)


def test_a_spec_that_does_not_fit_is_not_shown(run: Run) -> None:
    spec = json.dumps({"channels": 3, "encoder": "edsr", "decoder": "bicubic"})
    assert run("show", spec).sentence.startswith("the spec: decoder: bicubic got 64 channels, expected an image of 3")
    assert run("show", "{").sentence.startswith("not valid JSON: ")


def test_what_is_not_there_is_not_shown(run: Run) -> None:
    result = run("show", "nlnr")
    assert result.sentence.startswith("unknown architecture 'nlnr'; did you mean 'nlrn'")
    assert result.code == 2


# schema


def accepts(schema: Any, value: Any, root: Any) -> bool:
    """Whether a value fits a JSON Schema: as much of the standard as a catalog's schema uses."""
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return accepts(target, value, root)
    checks: dict[str, Callable[[Any], bool]] = {
        "anyOf": lambda options: any(accepts(option, value, root) for option in options),
        "oneOf": lambda options: any(accepts(option, value, root) for option in options),
        "enum": lambda values: value in values,
        "const": lambda constant: value == constant,
        "type": lambda kind: is_a(kind, value),
        "exclusiveMinimum": lambda bound: value > bound,
        "minimum": lambda bound: value >= bound,
        "maximum": lambda bound: value <= bound,
        "multipleOf": lambda step: value % step == 0,
        "minItems": lambda count: len(value) >= count,
        "maxItems": lambda count: len(value) <= count,
        "items": lambda items: all(accepts(items, item, root) for item in value),
        "required": lambda keys: set(keys) <= set(value),
        "properties": lambda inner: all(accepts(inner[key], value[key], root) for key in value if key in inner),
        "additionalProperties": lambda rest: all(
            accepts(rest, value[key], root) if isinstance(rest, dict) else rest
            for key in value
            if key not in schema.get("properties", {})
        ),
    }
    silent = {"prefixItems", "description", "title", "default", "$schema", "$defs"}
    assert schema.keys() <= checks.keys() | silent, schema.keys() - checks.keys()
    ordered = sorted(schema.keys() & checks.keys(), key=lambda key: key != "type")  # the type is asked first
    return all(checks[key](schema[key]) for key in ordered)


def is_a(kind: str, value: Any) -> bool:
    types: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    return isinstance(value, types[kind]) and (kind == "boolean" or not isinstance(value, bool))


def test_the_schema_accepts_our_own_catalog(run: Run) -> None:
    schema = run("schema").data
    entries = yaml.safe_load(shipped_catalog().read_text(encoding="utf-8"))
    for name, entry in entries.items():
        assert accepts(schema, {name: entry}, schema), name


def test_the_schema_names_every_component(run: Run) -> None:
    definitions = run("schema").data["$defs"]
    for info in COMPONENTS:
        assert accepts({"$ref": f"#/$defs/{info.kind}"}, info.name, {"$defs": definitions})
        assert definitions[f"{info.kind}:{info.name}"]["properties"]["name"] == {"const": info.name}


@pytest.mark.parametrize(
    "entry",
    [
        {**NET, "chanels": 3},
        {**NET, "encoder": {"name": "edsr", "chanels": 4}},
        {**NET, "encoder": {"name": "edrs"}},
        {**NET, "encoder": "edrs"},
        {**NET, "encoder": {"channels": 4}},
        {**NET, "decoder": "edsr"},
        {**NET, "channels": 0},
        {**NET, "channels": "3"},
        {**NET, "global_skip": "yes"},
        {key: value for key, value in NET.items() if key != "decoder"},
    ],
)
def test_the_schema_refuses_what_building_refuses(entry: dict[str, Any], run: Run) -> None:
    schema = run("schema").data
    assert accepts(schema, {"my-net": NET}, schema)
    assert not accepts(schema, {"my-net": entry}, schema)
    if entry["channels"] != "3":  # pydantic reads numbers from text
        with pytest.raises(toolbox.ToolboxError):
            toolbox.build(entry)


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("loss", "distill", "teacher  a weights file"),
        ("dataset", "pairs", "degraded  a folder with their partners"),
        ("metric", "lpips", "better  lower"),
        ("protocol", "denoise-gray", "tells  sigma"),
    ],
)
def test_a_record_of_any_kind_is_shown(kind: str, name: str, told: str, run: Run) -> None:
    assert told in run("show", kind, name).out
    facts = run("show", kind, name, "--json").data
    assert (facts["name"], facts["plugin"]) == (name, "toolbox")
    assert run("show", kind, f"{name}x").sentence.startswith(f"unknown {kind} '{name}x'; did you mean '{name}'")


def test_a_degradation_is_shown_with_its_settings(run: Run) -> None:
    facts = run("show", "degradation", "jpeg", "--json").data
    assert (facts["name"], facts["plugin"]) == ("jpeg", "toolbox")
    assert list(facts["settings"]) == ["quality", "subsampling", "shifted"]
    printed = run("show", "degradation", "gaussian-noise").out
    assert "sigma  standard deviation of 255, or [low, high] to draw one for each patch" in printed
    assert run("show", "degradation", "gausian").sentence.startswith("unknown degradation 'gausian'; did you mean")
