"""Recipes: read, overridden, and refused whole before anything starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.training.runs import IMPLICIT, recipe_data, recipe_of
from toolbox.config import validated
from toolbox.discovery import installed
from toolbox.errors import SpecError
from toolbox.training.recipe import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "examples" / "recipes").rglob("*.yaml"))


def read(folder: Path, *overrides: str, **changes: Any) -> Recipe:
    path = folder / "mine.yaml"
    data = changes.pop("data", "photos")
    path.write_text(yaml.safe_dump(recipe_data(data, **changes)), encoding="utf-8")
    return read_recipe(path, overrides, installed())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_recipes_of_the_shipped_networks_are_valid(path: Path) -> None:
    recipe = read_recipe(path, [], installed())
    assert recipe.model == recipe_of(Path("x"), model=path.stem, scale=recipe.scale, degradation="bicubic").model


def test_every_network_that_is_meant_to_be_trained_here_has_a_recipe() -> None:
    assert {path.stem for path in RECIPES} == {
        "nlrn-lite",
        "nlrn-lite-blind",
        "diinn-lite",
        "lm-liif-lite",
        "nlrn-diinn-lite",
        "photo",
    }


def test_a_recipe_comes_back_from_what_it_dumps(tmp_path: Path) -> None:
    recipe = read(tmp_path, validation={"folder": "x", "protocol": "denoise-gray"}, clip={"norm": 2.5})
    again = validated(Recipe, json.loads(recipe.model_dump_json()), installed())
    assert again == recipe
    assert again.degradation[0].config.sigma == 25


def test_overrides_are_yaml_at_a_path(tmp_path: Path) -> None:
    recipe = read(
        tmp_path, "optimizer.lr=3e-4", "budget={minutes: 5, steps: null}", "data=[a, b]", "model.encoder.steps=3",
        "degradation=[{name: jpeg, quality: [10, 90]}, eight-bits]",
    )  # fmt: skip
    assert recipe.optimizer.lr == 3e-4
    assert (recipe.budget.minutes, recipe.budget.steps) == (5, None)
    assert [each.config.folder for each in recipe.data] == [Path("a"), Path("b")]
    assert recipe.model.encoder.config.steps == 3
    assert [each.info.name for each in recipe.degradation] == ["jpeg", "eight-bits"]


def test_a_loss_is_a_name_settings_or_a_weighted_sum(tmp_path: Path) -> None:
    plain = read(tmp_path, loss="l1").loss
    assert plain == read(tmp_path, loss={"name": "l1"}).loss == read(tmp_path, loss=["l1"]).loss
    several = read(tmp_path, loss=[{"name": "l1"}, {"name": "frequency", "weight": 0.05}])
    assert [(each.info.name, each.weight) for each in several.loss] == [("l1", 1.0), ("frequency", 0.05)]
    assert several.plain()["loss"] == [{"name": "l1"}, {"name": "frequency", "weight": 0.05}]


def test_data_are_folders_pairs_or_datasets(tmp_path: Path) -> None:
    pairs = {"clean": "sharp", "degraded": "blurred"}
    written = read(tmp_path, data=["photos", pairs, {"name": "pairs", **pairs}])
    assert [each.info.name for each in written.data] == ["pictures", "pairs", "pairs"]
    assert written.data[1] == written.data[2]
    assert read(tmp_path, "data={clean: sharp, degraded: blurred}").data == written.data[1:2]
    assert read(tmp_path, "data=photos", data=pairs).data == written.data[:1]


def test_weights_are_a_file_or_a_part_of_one(tmp_path: Path) -> None:
    model = {"name": "nlrn-lite", "decoder": "conv"}
    with pytest.raises(SpecError, match=r"does not fit the model: .*; `only: encoder` takes a part of them$"):
        read(tmp_path, "weights=nlrn-lite", model=model)
    recipe = read(tmp_path, "weights.only=encoder", model=model, weights="nlrn-lite")
    assert recipe.plain()["weights"] == {"file": "nlrn-lite", "only": "encoder"}


def test_no_precision_is_what_a_bare_no_means(tmp_path: Path) -> None:
    assert read(tmp_path, "precision=no").precision == read(tmp_path, "precision='no'").precision == "no"


def test_a_named_model_can_be_changed(tmp_path: Path) -> None:
    recipe = read(tmp_path, model={"name": "nlrn-lite", "encoder": {"encoder": {"steps": 2}}})
    assert recipe.model.encoder.config.encoder.config.steps == 2
    assert read(tmp_path, "model=nlrn-lite", "model.encoder.encoder.steps=2").model == recipe.model


WRONG = [
    ({"model": "nlrn-litle"}, r"model: unknown architecture 'nlrn-litle'; did you mean .*'nlrn-lite'"),
    ({"model": "bicubic"}, r"model: has no weights to train; choose another architecture$"),
    ({"model": "nl-means"}, r"model: has no weights to train; choose another architecture$"),
    (
        {"model": {"output_channels": 2, "global_skip": "none"}},
        r"model: gives 2 channels for 1, expected as many$",
    ),
    ({"patch": 0}, r"patch: got 0, expected greater than 0$"),
    ({"pach": 5}, r"pach: unknown key; did you mean 'patch'\?$"),
    ({"loss": "l3"}, r"loss\.0\.name: unknown loss 'l3'; did you mean 'l1' "),
    ({"loss": [{"name": "l1", "weight": 0}]}, r"loss\.0\.weight: got 0, expected a positive number$"),
    ({"loss": [{"name": "l1", "wieght": 2}]}, r"loss\.0\.wieght: unknown key; "),
    ({"loss": []}, r"loss: got \[\], expected at least one$"),
    ({"loss": "ssim"}, r"loss\.0: 'ssim' compares patches of at least 11 pixels a side, got 8; take a larger patch$"),
    (
        {"model": dict(IMPLICIT), "scale": 2, "points": 9, "loss": [{"name": "l1"}, {"name": "frequency"}]},
        r"points: got 9, expected none, since the loss 'frequency' compares whole patches$",
    ),
    ({"loss": "distill"}, r"loss\.0\.teacher: missing; this key is required$"),
    ({"freeze": ["encodr"]}, r"freeze: got 'encodr', no part with weights; did you mean 'encoder', "),
    ({"freeze": ["encoder", "decoder"]}, r"freeze: leaves nothing to train; leave a part out$"),
    (
        {"optimizer": {"rates": {"decodr": 1}}},
        r"optimizer\.rates: got 'decodr', no part with weights; did you mean 'dec",
    ),
    ({"optimizer": {"rates": {"loss": 0}}}, r"optimizer\.rates\.loss: got 0, expected greater than 0$"),
    (
        {"weights": {"file": "nlrn-lite", "only": "head"}},
        r"weights\.only: got 'head', expected 'encoder' or 'decoder'$",
    ),
    ({"data": {"clean": "x"}}, r"data\.degraded: missing; this key is required$"),
    ({"data": {"name": "picturs"}}, r"data\.name: unknown dataset 'picturs'; did you mean 'pictures' "),
    (
        {"degradation": []},
        r"degradation: got \[\], expected at least one, since clean pictures have no degraded partners$",
    ),
    (
        {"degradation": "gausian-noise"},
        r"degradation\.(0\.)?name: unknown degradation 'gausian-noise'; did you mean 'gau",
    ),
    ({"degradation": "gaussian-noise"}, r"degradation\.0\.sigma: missing; this key is required$"),
    (
        {"degradation": {"name": "gaussian-noise", "sigma": -1}},
        r"degradation\.sigma: got -1, expected greater than or equal to 0",
    ),
    (
        {"degradation": {"name": "gaussian-noise", "sigma": [9, 2]}},
        r"degradation\.sigma: got \[9.*, 2.*\], expected a range, the smaller",
    ),
    (
        {"degradation": {"name": "jpeg", "quality": 101}},
        r"degradation\.quality: got 101, expected less than or equal to 100",
    ),
    ({"degradation": [5]}, r"degradation\.0: got 5, expected a degradation's name, or a mapping"),
    ({"scale": 2}, r"scale: got \{'each': \(2\.0,\)\}, expected 1\.0, the only one of this decoder$"),
    ({"scale": {"each": [2], "between": [1, 2]}}, r"scale: expected a number, \{each: \[2, 3, 4\]\} or \{between: "),
    ({"model": dict(IMPLICIT), "scale": {"between": [4, 2]}}, r"scale\.between: got \[4\.0, 2\.0\], expected the smal"),
    ({"points": 9}, r"points: got 9, expected none, since decoder 'residual-conv' gives whole images$"),
    (
        {"start": {"decoder.conv.wight": 0.1}},
        r"start\.decoder\.conv\.wight: unknown parameter; did you mean decoder\.c",
    ),
    ({"weights": "nlrn-light"}, r"weights: unknown architecture 'nlrn-light'; did you mean "),
    ({"weights": "nlrn"}, r"weights: 'nlrn' ships without weights; give the path of a weights file"),
    ({"weights": "nlrn-lite"}, r"weights: nlrn-lite does not fit the model: missing .*; of another shape "),
    ({"optimizer": {"name": "adan w"}}, r"optimizer\.name: got 'adan w', expected an optimizer of timm such as ada"),
    ({"schedule": {"name": "cosin"}}, r"schedule\.name: got 'cosin', expected "),
    ({"clip": {"norm": 0}}, r"clip\.norm: got 0, expected greater than 0$"),
    ({"budget": {"minutes": 3}}, r"budget: got both, expected \{steps: NUMBER\} or \{minutes: NUMBER\}; an override "),
    ({"budget": {"steps": None}}, r"budget: got none, expected \{steps: NUMBER\} or \{minutes: NUMBER\}$"),
    ({"validation": {"folder": "x", "protocol": "denoise-grey"}}, r"validation\.protocol: unknown protocol 'denoise-g"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=[str(changes)[:40] for changes, _ in WRONG])
def test_what_is_wrong_is_said_with_its_path(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^\S*mine\.yaml: " + sentence):
        read(tmp_path, **changes)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"batch: got 0.*; loss\.0\.name: unknown loss 'l3'.*; seed: got -1"):
        read(tmp_path, batch=0, loss="l3", seed=-1)


@pytest.mark.parametrize("override", ["patch", "=5", "patch=[", ""])
def test_overrides_of_another_form_are_refused(override: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=rf"^got '{re.escape(override)}', expected "):
        read(tmp_path, override)


@pytest.mark.parametrize("text", ["- a list", "just text", ""])
def test_a_file_that_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"r\.yaml: expected a mapping with the keys of a recipe$"):
        read_recipe(tmp_path / "r.yaml", [], installed())
