"""``toolbox compose``: what it says fits is what can be built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import toolbox
from tests.cli.command import NET, Run

SLOTS = {"encoder": ("encoder", "recurrent-wrapper"), "decoder": ("decoder",)}
ARCHITECTURES = {info.name for info in toolbox.list_architectures()}


def names(slot: str) -> list[str]:
    return [info.name for kind in SLOTS[slot] for info in toolbox.list_components(kind)]  # type: ignore[arg-type]


def builds(spec: Any) -> bool:
    try:
        with torch.device("meta"):
            toolbox.build(spec)
    except toolbox.ToolboxError:
        return False
    return True


@pytest.mark.parametrize(
    ("slot", "name"), [(slot, name) for slot in SLOTS for name in names(slot) if name not in ARCHITECTURES]
)
def test_every_component_is_told_what_fits_it(slot: str, name: str, run: Run) -> None:
    other = "decoder" if slot == "encoder" else "encoder"
    data = run("compose", name, "--json").data
    partners = {partner["name"]: partner for partner in data[f"{other}s"]}
    assert list(partners) == names(other)
    text = run("compose", name).out
    for partner, facts in partners.items():
        (line,) = (line for line in text.splitlines() if line.startswith((f"{partner} ", f"{partner},")))
        assert (" yes " in line) == facts["fits"] == (not facts["why"])
    assert any(facts["fits"] for facts in partners.values())


@pytest.mark.parametrize("decoder", names("decoder"))
@pytest.mark.parametrize("encoder", ["edsr", "identity", "recurrent"])
def test_what_fits_builds_and_what_does_not_is_refused(encoder: str, decoder: str, run: Run) -> None:
    result = run("compose", encoder, decoder, "--json")
    data = result.data
    assert builds(data["spec"]) == data["fits"] == (result.code == 0)
    assert result.code in (0, 2)
    printed = run("compose", encoder, decoder)
    assert printed.code == result.code
    assert printed.out.startswith(f"{encoder} → {decoder}: {'fits' if data['fits'] else 'does not fit'}\n")
    if data["fits"]:
        with torch.device("meta"):
            restorer = toolbox.build(data["spec"])
        assert data["features"] == restorer.encoder.out_channels
        assert (data["sizes"], data["receptive_field"]) == (
            restorer.sizes,
            restorer.spec.encoder.config.receptive_field(),
        )
        assert json.dumps(data["spec"]) in printed.out


def test_a_component_that_no_architecture_names_has_the_settings_of_its_example(run: Run) -> None:
    data = run("compose", "residual", "bicubic", "--json").data
    assert data["fits"]
    assert data["settings_of"] == {"encoder": "its example"}


def test_a_pair_that_does_not_join_is_told_why_and_what_would(run: Run) -> None:
    result = run("compose", "edsr", "bicubic")
    assert result.code == 2
    assert "together  decoder: bicubic got 64 channels, expected an image of 3" in result.out
    fitting = run("compose", "edsr", "bicubic", "--json").data["fitting"]
    assert {"identity", "nonlocal"} <= set(fitting["encoders"])
    assert f"encoders  that fit bicubic: {', '.join(fitting['encoders'])}\n" in result.out
    for slot, words in (("decoders", lambda name: ("edsr", name)), ("encoders", lambda name: (name, "bicubic"))):
        for name in fitting[slot]:
            assert run("compose", *words(name)).code == 0


def test_settings_that_a_component_cannot_do_without_are_those_of_an_architecture(run: Run) -> None:
    data = run("compose", "recurrent", "pixel-shuffle", "--json").data
    assert set(data["settings_of"]) == {"encoder", "decoder"}
    for slot, name in data["settings_of"].items():
        assert toolbox.build(name).spec.model_dump(mode="json")[slot].items() >= data["spec"][slot].items()
    assert f"recurrent, as in {data['settings_of']['encoder']}\n" in run("compose", "recurrent", "pixel-shuffle").out


def test_architectures_stand_for_their_parts(run: Run) -> None:
    spec = run("compose", "nlrn-lite", "diinn-lite", "--json").data["spec"]
    with torch.device("meta"):
        mixed, encoder, decoder = (toolbox.build(each).spec for each in (spec, "nlrn-lite", "diinn-lite"))
    assert (mixed.encoder, mixed.decoder) == (encoder.encoder, decoder.decoder)


@pytest.mark.parametrize("form", ["yaml", "json", "name"])
def test_a_spec_is_told_to_fit_in_every_form(form: str, run: Run, tmp_path: Path) -> None:
    source = {"yaml": str(tmp_path / "mine.yaml"), "json": json.dumps(NET), "name": "diinn-lite"}[form]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(NET), encoding="utf-8")
    result = run("compose", source)
    assert result.code == 0
    assert "together  " in result.out
    assert "channels, any size; a feature sees " in result.out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"encoder": {"name": "edsr", "chanels": 4}},
            {"encoder": "encoder.chanels: unknown key; did you mean 'channel"},
        ),
        (
            {"decoder": "dual-interactiv"},
            {"decoder": "decoder.name: unknown decoder 'dual-interactiv'; did you mean 'dual-interactive'"},
        ),
        ({"decoder": "bicubic"}, {"together": "decoder: bicubic got 4 channels, expected an image of 3"}),
        ({"channels": 0}, {"spec": "channels: got 0, expected greater than 0"}),
        (
            {"encoder": "edrs", "foo": 1},
            {"encoder": "encoder.name: unknown encoder 'edrs'", "spec": "foo: unknown key"},
        ),
        ({"encoder": None}, {"encoder": "got None, expected a component's name, or a mapping"}),
    ],
)
def test_each_fault_is_told_where_it_is(change: dict[str, Any], why: dict[str, str], run: Run) -> None:
    source = json.dumps({**NET, **change})
    result = run("compose", source, "--json")
    assert result.code == 2
    assert result.data["fits"] is False
    assert list(result.data["why"]) == list(why)
    printed = run("compose", source)
    assert printed.code == 2
    for place, start in why.items():
        assert result.data["why"][place].startswith(start)
        assert result.data["why"][place] in printed.out


def test_a_part_that_is_missing_is_told(run: Run) -> None:
    result = run("compose", '{"channels": 3, "encoder": "edsr"}')
    assert result.code == 2
    assert "decoder  missing: missing; this key is required" in result.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("edrs", "bicubic"), "unknown encoder 'edrs'; did you mean 'edsr' (toolbox)?"),
        (("dual-interactive", "edsr"), "'dual-interactive' is of kind decoder, expected a component of kind encoder"),
        (("nlnr",), "unknown architecture 'nlnr'; did you mean 'nlrn'"),
        (("{",), "not valid JSON: "),
        (("nowhere.yaml",), "nowhere.yaml: cannot be read: No such file"),
    ],
)
def test_what_is_not_there_is_refused(words: tuple[str, ...], sentence: str, run: Run) -> None:
    result = run("compose", *words)
    assert result.code == 2
    assert result.sentence.startswith(sentence)


def test_three_words_are_one_too_many(run: Run) -> None:
    assert "got 3 words, expected a spec, or an encoder and a decoder" in run("compose", "a", "b", "c").usage


def test_a_catalog_of_one_s_own_takes_part(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"my-net": NET, "half": {"channels": 3, "encoder": "edsr"}}), encoding="utf-8")
    assert run("compose", "my-net", "--catalog", path).code == 0
    assert run("compose", "my-net", "diinn", "--catalog", path).code == 0
    assert run("compose", "half", "half", "--catalog", path).code == 2
    assert run("compose", "recurrent", "--catalog", path).code == 0
