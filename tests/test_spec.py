"""Architecture specs: faults found before any tensor exists, and JSON that leaves nothing open."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import toolbox
from tests.parts import DECODERS, ENCODERS, component, fits, installed_and
from toolbox.config import EncoderConfig
from toolbox.errors import SpecError, UnknownComponent
from toolbox.resolve import merged, resolve
from toolbox.spec import ComponentSpec

IMAGE = {"channels": 3, "encoder": "identity", "decoder": "bicubic"}
ARCHITECTURES = [info.name for info in toolbox.list_architectures()]


def with_window(**window: Any) -> dict[str, Any]:
    block = {"name": "soft-block-matching", "neighborhood": {"kind": "window", **window}}
    transition = {"name": "nonlocal-residual", "nonlocal": block}
    return {"channels": 1, "encoder": {"name": "recurrent", "transition": transition}, "decoder": "residual-conv"}


NEIGHBORHOOD = "encoder.transition.nonlocal.neighborhood"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_window(size=44), f"{NEIGHBORHOOD}.size: got 44, expected an odd number"),
        (with_window(size=-3), f"{NEIGHBORHOOD}.size: got -3, expected an odd number"),
        (with_window(size=True), f"{NEIGHBORHOOD}.size: got True, expected an odd number"),
        (with_window(size="45"), f"{NEIGHBORHOOD}.size: got '45', expected an odd number"),
        (with_window(sise=45), f"{NEIGHBORHOOD}.sise: unknown key; did you mean 'size'?"),
        (with_window(border="clop"), f"{NEIGHBORHOOD}.border: got 'clop', expected 'clip', 'zero' or 'shift'"),
        ({**IMAGE, "chanels": 3}, "chanels: unknown key; did you mean 'channels'?"),
        ({**IMAGE, "channels": 0}, "channels: got 0, expected greater than 0"),
        ({"channels": 3}, "encoder: missing; this key is required; decoder: missing; this key is required"),
        (
            {**IMAGE, "global_skip": "output"},
            "global_skip: got 'output', expected 'none', 'bicubic', 'bilinear' or 'nearest'",
        ),
        (
            {**IMAGE, "encoder": 3},
            "encoder: got 3, expected a component's name, or a mapping with its name and settings",
        ),
        (
            {**IMAGE, "encoder": {"channels": 3}},
            "encoder.name: missing; expected the name of a component of kind encoder or recurrent-wrapper",
        ),
        (
            {**IMAGE, "decoder": {"name": 7}},
            "decoder.name: missing; expected the name of a component of kind decoder",
        ),
        (
            {**IMAGE, "encoder": "edrs"},
            "encoder.name: unknown encoder 'edrs'; did you mean 'edsr' (toolbox)?",
        ),
        (
            {**IMAGE, "encoder": "recurent"},
            "encoder.name: unknown encoder 'recurent'; did you mean 'recurrent' (toolbox), 'rcan' (toolbox_rcan)?",
        ),
        (
            {**IMAGE, "encoder": {"name": "pixel-unshuffle", "encoder": {"name": "edsr", "blcks": 3}}},
            "encoder.encoder.blcks: unknown key; did you mean 'blocks'?",
        ),
        (
            {**IMAGE, "encoder": {"name": "recurrent", "transition": "nonlocal-residul"}},
            (
                "encoder.transition.name: unknown transition 'nonlocal-residul'; "
                "did you mean 'nonlocal-residual' (toolbox_nlrn)?"
            ),
        ),
        ({**IMAGE, "decoder": "pixel-shuffle"}, "decoder.scale: missing; this key is required"),
        (
            {**IMAGE, "encoder": {"name": "edsr", "preset": "huge"}},
            "encoder.preset: got 'huge', expected one of baseline, full",
        ),
    ],
)
def test_each_fault_is_named_with_its_path(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder": "rdn"},
            (
                r"^decoder: bicubic got 64 channels, expected an image of 3; use encoder identity "
                r"\(encoder 'rdn' gives 64 channels\)$"
            ),
        ),
        (
            {"encoder": {"name": "pixel-unshuffle", "factor": 3, "encoder": "edsr"}},
            r"^encoder: pixel-unshuffle got 64 channels of 'edsr', expected a multiple of 9 ",
        ),
        (
            {"normalization": {"mean": [0.1, 0.2]}},
            r"^normalization\.mean: got \[0\.1, 0\.2\], expected one value, or 3: one per channel$",
        ),
        (
            {"normalization": {"std": [1.0]}},
            r"^normalization\.std: got \[1\.0\], expected one value, or 3: one per channel$",
        ),
    ],
    ids=["channels", "unfolding", "mean", "std"],
)
def test_a_wrong_join_is_refused_before_anything_is_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({**IMAGE, **changes})


def test_a_component_s_name_alone_is_its_spec_with_every_default() -> None:
    assert resolve(IMAGE) == resolve({**IMAGE, "encoder": {"name": "identity"}, "decoder": {"name": "bicubic"}})
    spec = resolve(
        {**IMAGE, "encoder": {"name": "recurrent", "transition": "nonlocal-residual"}, "decoder": "residual-conv"}
    )
    assert spec.encoder.config.transition.config.channels == 128


def test_a_spec_is_frozen() -> None:
    spec = resolve(IMAGE)
    with pytest.raises(ValidationError, match="frozen"):
        spec.channels = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        spec.normalization.mean = 0.5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot assign to field"):
        spec.encoder.config = None  # type: ignore[misc]


def keys_of(config: BaseModel) -> dict[str, Any]:
    """Every key that the JSON of a config should have, and those below it."""

    def below(value: Any) -> Any:
        if isinstance(value, ComponentSpec):
            return {"name": None, **keys_of(value.config)}
        if isinstance(value, Mapping):
            return {key: below(each) for key, each in value.items()}
        return keys_of(value) if isinstance(value, BaseModel) else None

    fields = type(config).model_fields
    return {field.alias or name: below(getattr(config, name)) for name, field in fields.items()}


def without_values(data: Any) -> Any:
    return {key: without_values(value) for key, value in data.items()} if isinstance(data, Mapping) else None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_json_is_complete_and_gives_the_same_spec(name: str) -> None:
    spec = resolve(name)
    data = json.loads(spec.to_json())
    assert without_values(data) == keys_of(spec)
    assert resolve(data) == spec
    assert resolve(spec) == spec
    assert resolve(data).to_json() == spec.to_json()


def test_json_holds_the_presets_fields_and_the_written_names() -> None:
    encoder = json.loads(resolve("rdn-x2").to_json())["encoder"]
    assert encoder == {"name": "rdn", "channels": 64, "blocks": 16, "layers": 8, "growth": 64}
    transition = json.loads(resolve("nlrn").to_json())["encoder"]["transition"]
    assert transition["nonlocal"]["neighborhood"] == {"kind": "window", "size": 45, "border": "clip"}


small = st.integers(1, 9)
windows = st.fixed_dictionaries(
    {"kind": st.just("window")},
    optional={"size": small.map(lambda n: 2 * n + 1), "border": st.sampled_from(["clip", "zero", "shift"])},
)
blocks = st.none() | st.fixed_dictionaries(
    {"name": st.just("soft-block-matching")},
    optional={
        "neighborhood": windows | st.just({"kind": "whole"}),
        "propagation": st.sampled_from(["none", "accumulate"]),
        "embedding_channels": small,
    },
)
transitions = st.just("nonlocal-residual") | st.fixed_dictionaries(
    {"name": st.just("nonlocal-residual")}, optional={"channels": small, "nonlocal": blocks}
)
flat = (
    st.fixed_dictionaries({"name": st.just("recurrent"), "transition": transitions}, optional={"steps": small})
    | st.fixed_dictionaries(
        {"name": st.just("edsr")},
        optional={
            "channels": small,
            "residual_scale": st.floats(1e-6, 1e6),
            "preset": st.sampled_from(["baseline", "full"]),
        },
    )
    | st.fixed_dictionaries({"name": st.just("rdn")}, optional={"growth": small, "preset": st.sampled_from(["A", "B"])})
    | st.sampled_from(["identity", "edsr"])
)
folded = st.fixed_dictionaries({"name": st.just("pixel-unshuffle"), "encoder": flat}, optional={"factor": st.just(2)})
decoders = st.fixed_dictionaries(
    {"name": st.just("dual-interactive")},
    optional={"hidden": st.lists(small, min_size=1), "initial_synthesis": st.booleans()},
) | st.sampled_from(["residual-conv", "bicubic", {"name": "pixel-shuffle", "scale": 3}])
number = st.floats(-1e3, 1e3)
specs = st.fixed_dictionaries(
    {"channels": st.integers(1, 4), "encoder": flat | folded, "decoder": decoders},
    optional={
        "summary": st.text(),
        "global_skip": st.sampled_from(["none", "bicubic", "bilinear", "nearest"]),
        "normalization": st.fixed_dictionaries({}, optional={"mean": number | st.lists(number, max_size=4)}),
    },
)


@given(data=specs)
def test_any_spec_is_refused_in_one_sentence_or_survives_json(data: dict[str, Any]) -> None:
    try:
        spec = resolve(data)
    except SpecError:
        return
    assert resolve(json.loads(spec.to_json())) == spec


@given(data=specs)
def test_validation_leaves_the_data_as_they_were(data: dict[str, Any]) -> None:
    before = json.dumps(data)
    with contextlib.suppress(SpecError):
        resolve(data)
    assert json.dumps(data) == before


def test_parts_are_every_component_outermost_first() -> None:
    assert [part.name for part in resolve("nlrn-lite").parts()] == [
        "pixel-unshuffle",
        "recurrent",
        "nonlocal-residual",
        "soft-block-matching",
        "residual-conv",
    ]


def test_a_stranger_s_component_is_used_by_its_name_with_its_own_faults() -> None:
    class FewConfig(EncoderConfig):
        kept: int = 1

        def out_channels(self, channels: int) -> int:
            if self.kept > channels:
                raise ValueError(f"few got an image of {channels} channels, expected {self.kept} or more")
            return self.kept

        def receptive_field(self) -> int | None:
            return 0

    registries = installed_and(component("few", config=FewConfig))
    spec = {"channels": 2, "encoder": {"name": "few", "kept": 2}, "decoder": "bicubic"}
    assert resolve(spec, registries=registries).encoder.info.provider == "stranger"
    with pytest.raises(SpecError, match=r"^encoder: few got an image of 2 channels, expected 3 or more$"):
        resolve(spec, registries=registries, encoder={"kept": 3})
    with pytest.raises(SpecError, match=r"^encoder\.name: unknown encoder 'few'"):
        resolve(spec)


# Where a spec may come from.


def test_an_unknown_architecture_gets_close_names_and_their_plugin() -> None:
    with pytest.raises(UnknownComponent, match=r"^unknown architecture 'nlnr'; did you mean 'nlrn' \(toolbox_nlrn\)"):
        resolve("nlnr")


def test_a_yaml_file_is_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("channels: 3\nencoder: identity\ndecoder: {name: bicubic}\n", encoding="utf-8")
    assert resolve(path) == resolve(str(path)) == resolve(IMAGE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channels: 3\nencoder: identity\ndecoder: bicubi\n", r"decoder\.name: unknown decoder 'bicubi'; did you mean"),
        ("channels: [3\n", r"not valid YAML: .*line 2"),
        ("- nlrn\n", r"got \['nlrn'\], expected "),
        ("", r"got None, expected "),
    ],
    ids=["spec", "yaml", "list", "empty"],
)
def test_a_fault_in_a_yaml_file_is_named_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=rf"mine\.yml: {message}"):
        resolve(path)


def test_a_yaml_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.yaml: cannot be read: No such file or directory$"):
        resolve(tmp_path / "none.yaml")


def test_a_fault_in_an_override_is_named_with_the_architecture() -> None:
    with pytest.raises(SpecError, match=r"^nlrn: encoder\.steps: got 0, expected greater than 0$"):
        resolve("nlrn", encoder={"steps": 0})


# Overrides.


def test_overrides_are_merged_into_mappings() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}) == {"a": {"b": 1, "c": 4}, "d": 3, "e": 5}
    assert merged({"a": {"b": 1}}, {"a": None}) == {"a": None}
    assert merged({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert merged({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


@pytest.mark.parametrize("tag", ["name", "kind"])
def test_another_component_keeps_nothing_of_the_one_it_replaces(tag: str) -> None:
    assert merged({"a": {tag: "x", "b": 1}}, {"a": {tag: "y", "c": 2}}) == {"a": {tag: "y", "c": 2}}
    assert merged({"a": {tag: "x", "b": 1}}, {"a": {tag: "x", "c": 2}}) == {"a": {tag: "x", "b": 1, "c": 2}}


def test_merging_changes_neither_side() -> None:
    data, changes = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged(data, changes)
    assert (data, changes) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_overrides_reach_any_depth_of_a_named_architecture() -> None:
    neighborhood = {"kind": "whole"}
    spec = resolve("nlrn", encoder={"steps": 3, "transition": {"nonlocal": {"neighborhood": neighborhood}}}, channels=3)
    block = spec.encoder.config.transition.config.nonlocal_block
    assert (spec.encoder.config.steps, spec.channels) == (3, 3)
    assert block.config.neighborhood.kind == "whole"
    assert block.config.embedding_channels == 64
    assert resolve("nlrn").encoder.config.steps == 12


def test_overrides_apply_to_a_mapping_a_file_and_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(IMAGE), encoding="utf-8")
    for source in (IMAGE, path, resolve(IMAGE)):
        assert resolve(source, channels=1) == resolve({**IMAGE, "channels": 1})


def test_a_pair_is_refused_for_its_channels_or_its_padding_alone() -> None:
    """What is accepted never fails: tests/test_restorer.py builds all other pairs."""
    for encoder, decoder in itertools.product(ENCODERS, DECODERS):
        assert fits(encoder, decoder) or not fits("edsr", decoder) or (encoder, decoder) == ("nafnet", "self-exemplars")


# Changes of a spec


def test_a_preset_replaces_the_fields_that_it_stands_for_and_no_others() -> None:
    encoder: Any = resolve("edsr-x2", encoder={"preset": "baseline"}).encoder.config
    assert (encoder.channels, encoder.blocks, encoder.residual_scale) == (64, 16, 1.0)
    given: Any = {"name": "edsr", "channels": 8, "blocks": 3, "residual_scale": 0.5}
    spec = {"channels": 3, "encoder": given, "decoder": "conv"}
    encoder = resolve(spec, encoder={"preset": "full"}).encoder.config
    assert (encoder.channels, encoder.blocks, encoder.residual_scale) == (256, 32, 0.1)
    encoder = resolve(spec, encoder={"preset": "full", "blocks": 2}).encoder.config
    assert (encoder.channels, encoder.blocks, encoder.residual_scale) == (256, 2, 0.1)


def test_a_preset_inside_another_component_does_so_too() -> None:
    inner = {"name": "edsr", "channels": 8, "blocks": 3}
    spec = {"channels": 3, "encoder": {"name": "pixel-unshuffle", "factor": 2, "encoder": inner}, "decoder": "conv"}
    changed: Any = resolve(spec, encoder={"encoder": {"preset": "full"}}).encoder.config
    assert (changed.factor, changed.encoder.config.channels, changed.encoder.config.blocks) == (2, 256, 32)
