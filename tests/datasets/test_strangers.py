"""Datasets of plugins: read when they are drawn, and named when they are at fault."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.runs import IMPLICIT, NLRN, recipe_data
from toolbox.choice import Choice
from toolbox.config import Config, validated
from toolbox.discovery import installed
from toolbox.errors import ImageError, PluginError, TrainingError
from toolbox.learning import Example
from toolbox.records import DatasetInfo
from toolbox.training.data import Batches
from toolbox.training.pictures import LazyPictures, OpenDatasets, open_pictures, prepared
from toolbox.training.recipe import Recipe


class Shape(Config):
    """How large the pictures are."""

    side: int = 12


class Drawn:
    """Pictures that exist only when they are asked for."""

    def __init__(self, config: Shape) -> None:
        self.side, self.read = config.side, list[int]()

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, number: int) -> Example:
        self.read.append(number)
        levels = torch.full((3, self.side, self.side), number / 10**6)
        return Example(levels, levels / 2, {"sigma": 255 * levels[0], "number": number})


def recipe_with(info: DatasetInfo, **changes: Any) -> Recipe:
    registries = dataclasses.replace(installed())
    registries.add_plugin("toolbox_mine", datasets=[info])
    model = {**IMPLICIT, "conditions": {"sigma": {}, "number": {}}}
    data = recipe_data({"name": info.name}, **{"model": model, "degradation": [], **changes})
    return validated(Recipe, data, registries)


def batches_of(recipe: Recipe, folder: Path) -> Batches:
    datasets = OpenDatasets(recipe.data, recipe.model.channels)
    return Batches(recipe, open_pictures(datasets, recipe.patch, recipe.scale.largest, folder / "pictures.bin"))


def info(opened: Any, config: type[Config] = Shape) -> DatasetInfo:
    return DatasetInfo("drawn", opened, config, "for a test", "none")


def test_examples_are_read_as_they_are_drawn_and_nothing_is_written(tmp_path: Path) -> None:
    batches = batches_of(recipe_with(info(Drawn)), tmp_path)
    assert isinstance(batches.pictures, LazyPictures)
    batch = batches[0]
    (opened,) = batches.pictures.examples.parts
    assert len(opened.read) == 2
    assert not list(tmp_path.iterdir())
    assert torch.equal(batch.clean[:, 0, 0, 0] * 10**6, torch.tensor(opened.read, dtype=torch.float32))
    torch.testing.assert_close(batch.degraded, batch.clean / 2)
    torch.testing.assert_close(batch.conditions["sigma"], 255 * batch.clean[:, :1])
    assert torch.equal(batch.conditions["number"], torch.tensor(opened.read, dtype=torch.float32))
    assert torch.equal(batches[0].degraded, batch.degraded)


def test_examples_without_a_partner_are_degraded_by_the_recipe(tmp_path: Path) -> None:
    clean = info(lambda config: [Example(np.full((12, 12, 3), 0.5))])
    noise = {"name": "gaussian-noise", "sigma": 25}
    recipe = recipe_with(clean, model=dict(IMPLICIT), degradation=noise)
    batch = batches_of(recipe, tmp_path)[0]
    assert (batch.clean == 0.5).all()
    assert 10 < 255 * (batch.degraded - batch.clean).std() < 40


def test_pictures_that_are_too_small_are_drawn_again_and_told_if_all_are(tmp_path: Path) -> None:
    examples = [Example(np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)) for side in (4, 4, 12)]
    recipe = recipe_with(info(lambda config: examples), model=dict(NLRN), batch=20)
    assert batches_of(recipe, tmp_path)[0].clean.shape == (20, 1, 8, 8)
    recipe = recipe_with(info(lambda config: examples[:2]), model=dict(NLRN))
    with pytest.raises(
        TrainingError, match=r"^no picture of 100 that were drawn can be used at scale 1; the last: 4x4 "
    ):
        batches_of(recipe, tmp_path)[0]


@pytest.mark.parametrize(
    ("opened", "sentence"),
    [
        (
            lambda config: 1 / 0,
            r"dataset 'drawn' of plugin toolbox_mine failed with ZeroDivisionError: division by zero",
        ),
        (
            lambda config: 5,
            r"dataset 'drawn' of plugin toolbox_mine failed with TypeError: object of type 'int' has no",
        ),
        (
            lambda config: [5],
            r"dataset 'drawn' of plugin toolbox_mine gave a int, expected an Example; tell its author",
        ),
        (lambda config: {3: 5}, r"dataset 'drawn' of plugin toolbox_mine failed with KeyError: 0; tell its author"),
    ],
)
def test_a_dataset_at_fault_is_named_with_its_plugin(opened: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=f"^{sentence}"):
        batches_of(recipe_with(info(opened)), tmp_path).check()


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        (
            Example(np.zeros((4, 4, 3), np.int64)),
            r"^it: got an array of int64, expected uint8, uint16 or float in \[0, 1\]$",
        ),
        (Example(np.zeros((4, 4, 5), np.uint8)), r"^it: got a picture of 5 channels, expected 3$"),
        (
            Example(np.zeros((8, 8)), np.zeros((4, 8))),
            r"^it: got a pair of 8x8 and 8x4 pixels, expected the same scale",
        ),
    ],
)
def test_pixels_that_are_no_picture_are_told(example: Example, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        prepared(example, 3, "it")


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 5), np.uint8), torch.zeros(3, 4, 5), torch.zeros(4, 5), np.zeros((4, 5, 4))]
)
def test_arrays_and_tensors_become_arrays_of_the_network_s_channels(pixels: np.ndarray | Tensor) -> None:
    assert prepared(Example(pixels), 3, "it").clean.shape == (4, 5, 3)


def test_a_dataset_is_known_by_its_settings_and_length() -> None:
    def digest(config: Shape, opened: Any = Drawn) -> str:
        return OpenDatasets([Choice(info(opened), config)], 3).digest

    assert digest(Shape()) == digest(Shape())
    assert len({digest(Shape()), digest(Shape(side=13)), digest(Shape(), lambda config: [0])}) == 3
