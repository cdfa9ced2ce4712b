"""Scores and pictures of a network in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.runs import IMPLICIT, implicit_recipe, recipe_of, write_pictures
from toolbox.discovery import installed
from toolbox.errors import ImageError, SpecError
from toolbox.evaluation.scoring import score_folder
from toolbox.images.files.picture import read_pixels
from toolbox.learning import Example
from toolbox.restorer import Restorer
from toolbox.training.pictures import Pair, prepared
from toolbox.training.settings import Validation
from toolbox.training.validation import check_validation, mean_score, sample_picture


def validation(folder: Path, protocol: str, **more: object) -> Validation:
    data = {"folder": folder, "protocol": protocol, **more}
    return Validation.model_validate(data, context=installed())


def test_the_score_is_the_mean_that_eval_gives(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path)
    restorer = Restorer(implicit_recipe(folder).model)
    protocol = installed().protocols["sr-y"]
    scores = [score.psnr for score in score_folder(restorer, folder, protocol, scales=[2, 3])]
    assert len(scores) == 6
    got = mean_score(restorer, validation(folder, "sr-y", scales=[2, 3]))
    assert got.value == pytest.approx(np.mean(scores))
    assert got.scales == (2, 3)


def test_scores_are_checked_before_they_are_needed(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path)
    assert check_validation(validation(folder, "denoise-gray")) == sorted(folder.iterdir())
    with pytest.raises(SpecError, match=r"got low resolution or scales, but denoise-gray adds noise"):
        check_validation(validation(folder, "denoise-gray", scales=[2]))
    with pytest.raises(ImageError, match=r"nothing to score"):
        check_validation(validation(folder, "sr-y"))


def sample(path: Path, channels: int) -> Pair:
    return prepared(Example(read_pixels(path)), channels, "a sample")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Image.Image]:
    """The pictures that are put side by side, before and after."""
    pictures: list[Image.Image] = []

    def kept(before: Image.Image, after: Image.Image) -> Image.Image:
        pictures.extend((before, after))
        return after

    monkeypatch.setattr("toolbox.training.validation.side_by_side", kept)
    return pictures


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.0])
def test_the_sample_is_degraded_by_the_recipe_and_restored(
    scale: float, tmp_path: Path, shown: list[Image.Image]
) -> None:
    folder = write_pictures(tmp_path / "data", count=1, side=40)
    chain = ["bicubic", {"name": "gaussian-noise", "sigma": 25}]
    recipe = implicit_recipe(folder, model={**IMPLICIT, "global_skip": "bicubic"}, degradation=chain, scale=scale)
    sample_picture(recipe, Restorer(recipe.model), sample(folder / "0.png", 3))
    small = int(40 / scale)
    assert [picture.size for picture in shown] == [(small, small), (round(small * scale),) * 2]


def test_large_pictures_are_shown_in_part_and_color_as_the_network_sees_it(
    tmp_path: Path, shown: list[Image.Image]
) -> None:
    Image.fromarray(np.zeros((300, 400, 3), dtype=np.uint8)).save(tmp_path / "0.png")
    recipe = recipe_of(tmp_path)
    sample_picture(recipe, Restorer(recipe.model), sample(tmp_path / "0.png", 1))
    assert [(picture.size, picture.mode) for picture in shown] == [((256, 256), "L")] * 2
    assert 5 < np.asarray(shown[0]).std() < 25  # half of it is clipped at black
