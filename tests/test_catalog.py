"""The catalog, and that what it and the registries hold is complete."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import BaseModel
from torch import nn

import toolbox
from tests.parts import COMPONENTS
from toolbox.catalog import read_catalog, read_yaml, shipped, shipped_catalog, shipped_providers
from toolbox.config import KINDS, Config, Kind
from toolbox.discovery import installed
from toolbox.errors import SpecError
from toolbox.records import ComponentInfo
from toolbox.resolve import resolve
from toolbox.testing.rules import check_url
from toolbox.testing.subject import subject

ARCHITECTURES = [info.name for info in toolbox.list_architectures()]
ENTRIES = read_yaml(shipped_catalog())
TESTS = Path(__file__).parent
SMALL = 50_000  # weights of a network that is built and run in no time

component = pytest.mark.parametrize("info", COMPONENTS, ids=lambda info: f"{info.kind}-{info.name}")
architecture = pytest.mark.parametrize("name", ARCHITECTURES)


# Every component is complete.


@component
def test_a_component_is_used_by_an_architecture_of_the_catalog(info: ComponentInfo) -> None:
    used = {(part.info.kind, part.name) for name in ARCHITECTURES for part in resolve(name).parts()}
    assert (info.kind, info.name) in used


@component
def test_a_component_s_example_is_small(info: ComponentInfo) -> None:
    restorer = subject(info, info.example, None).restorer()
    assert sum(parameter.numel() for parameter in restorer.parameters()) <= SMALL


@component
def test_a_component_has_a_plain_version_or_a_test_file_of_its_own(info: ComponentInfo) -> None:
    if info.plain is not None:
        return  # the conformance kit holds the two together
    package, *modules = info.factory.__module__.split(".")
    if package == "toolbox":
        expected = TESTS.joinpath(*modules[:-1], f"test_{modules[-1]}.py")
    else:
        expected = TESTS / "plugins" / f"test_{package.removeprefix('toolbox_')}.py"
    assert expected.is_file()
    assert any(isinstance(node, ast.FunctionDef) for node in ast.parse(expected.read_text(encoding="utf-8")).body)


# Every architecture is complete.


@architecture
def test_an_architecture_builds_with_what_its_spec_promises(name: str) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    spec = restorer.spec
    assert spec == resolve(name)
    assert spec.summary
    assert spec.paper
    assert restorer.channels == spec.channels
    assert restorer.encoder.out_channels == spec.encoder.config.out_channels(spec.channels)
    trainable = sum(parameter.numel() for parameter in restorer.parameters() if parameter.requires_grad)
    has_layers = any(isinstance(module, (nn.Conv2d, nn.Linear)) for module in restorer.modules())
    assert (trainable > 0) == has_layers


@architecture
def test_an_architecture_s_record_is_that_of_the_yaml_file(name: str) -> None:
    entry = ENTRIES[name]
    record = installed().architectures[name]
    assert record.summary == entry["summary"]
    assert record.provider == entry["plugin"]
    assert record.url == entry.get("url", "")
    assert not {"plugin", "url"} & set(record.spec)
    assert {**record.spec, "plugin": entry["plugin"], **({"url": record.url} if record.url else {})} == entry


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("bicubic", 0),
        # By the published papers and code: weights and biases of every layer.
        ("edsr-baseline-x2", 1_369_859),
        ("edsr-baseline-x3", 1_554_499),
        ("edsr-baseline-x4", 1_517_571),
        ("rdn-x2", 22_123_395),
        ("rdn-x3", 22_308_035),
        ("rdn-x4", 22_271_107),
        ("nlrn", 340_099),
    ],
)
def test_a_published_architecture_has_its_published_size(name: str, parameters: int) -> None:
    with torch.device("meta"):
        restorer = toolbox.build(name)
    assert sum(parameter.numel() for parameter in restorer.parameters()) == parameters


def test_registry_yaml_is_all_that_is_listed() -> None:
    assert sorted(ENTRIES) == ARCHITECTURES


def test_what_links_to_a_paper_or_its_code_can_be_followed() -> None:
    found = installed()
    for record in (*COMPONENTS, *found.architectures, *found.converters):
        check_url(record.url)
    assert all(record.url for record in found.converters)


# Listing.


def test_components_are_listed_by_kind_and_name() -> None:
    assert [(KINDS.index(info.kind), info.name) for info in COMPONENTS] == sorted(
        (KINDS.index(info.kind), info.name) for info in COMPONENTS
    )


@pytest.mark.parametrize("kind", KINDS)
def test_components_of_one_kind(kind: Kind) -> None:
    assert toolbox.list_components(kind) == [info for info in COMPONENTS if info.kind == kind]
    assert toolbox.list_components(kind)


def test_a_kind_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"^got kind 'lens', expected one of encoder, recurrent-wrapper, transition, "):
        toolbox.list_components("lens")  # type: ignore[arg-type]


# Reading.


def test_a_user_s_catalog_gives_architectures_to_build(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    entry = {"summary": "mine", "channels": 3, "encoder": "identity", "decoder": "bicubic"}
    own = {"weights": "sub/mine.safetensors", "url": "https://example.org/mine"}
    path.write_text(yaml.safe_dump({"mine": {**entry, **own}}), encoding="utf-8")
    (info,) = read_catalog(path)
    assert (info.name, info.summary, info.url) == ("mine", "mine", "https://example.org/mine")
    assert info.weights == tmp_path / "sub/mine.safetensors"
    assert info.spec == entry
    assert toolbox.build(info.spec).spec.summary == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- nlrn\n", "mine.yaml: expected a mapping of architecture names to specs$"),
        ("nlrn: 3\n", "mine.yaml: expected a mapping of architecture names to specs$"),
        ("", "mine.yaml: expected a mapping of architecture names to specs$"),
        ("nlrn: {channels: 3\nmore", "mine.yaml: not valid YAML: .*line 2"),
    ],
)
def test_what_is_no_catalog_is_refused_with_its_name(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        read_catalog(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SpecError, match=r"mine.yaml: not valid YAML: "):
        read_catalog(path)


def test_a_catalog_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none.yaml: cannot be read: No such file or directory$"):
        read_catalog(tmp_path / "none.yaml")


def test_reading_yaml_runs_nothing(tmp_path: Path) -> None:
    path, touched = tmp_path / "mine.yaml", tmp_path / "touched"
    path.write_text(f"nlrn: !!python/object/apply:os.mkdir ['{touched}']\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"not valid YAML"):
        read_catalog(path)
    assert not touched.exists()


def test_each_architecture_belongs_to_a_plugin_that_is_there() -> None:
    assert set(shipped_providers().values()) <= set(installed().versions)


def test_a_plugin_s_weights_are_found_by_the_architecture_s_name(tmp_path: Path) -> None:
    (tmp_path / "nlrn-lite.safetensors").touch()
    weights = {info.name: info.weights for info in shipped("toolbox_nlrn", weights=tmp_path)}
    assert weights.pop("nlrn-lite") == tmp_path / "nlrn-lite.safetensors"
    assert "nlrn" in weights
    assert not any(weights.values())
    assert all(info.weights is None for info in shipped("toolbox_nlrn"))


def test_weights_that_an_architecture_ships_with_exist() -> None:
    for info in toolbox.list_architectures():
        assert info.weights is None or (isinstance(info.weights, Path) and info.weights.is_file())


def test_configs_are_frozen_and_refuse_unknown_keys() -> None:
    def below(config: type[Config]) -> list[type[Any]]:
        return [config, *(each for child in config.__subclasses__() for each in below(child))]

    for config in below(Config):
        if config.__module__.startswith("toolbox"):
            assert issubclass(config, BaseModel)
            assert config.model_config.get("frozen"), config
            assert config.model_config.get("extra") == "forbid", config
