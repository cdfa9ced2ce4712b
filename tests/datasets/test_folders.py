"""Pairs of folders: partners, scales, depths, and the patches that are cut out of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training.runs import IMPLICIT, pictures_of, recipe_of, same, write_pictures
from toolbox.choice import Choice
from toolbox.datasets.folders import PAIRS, PairsConfig, open_pairs
from toolbox.errors import ImageError, TrainingError
from toolbox.images.files.picture import read_pixels
from toolbox.training.data import Batches
from toolbox.training.loop import train
from toolbox.training.pictures import KeptPictures, OpenDatasets, Pair, covered, open_pictures, step_of
from toolbox.training.recipe import Recipe


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        Image.fromarray(pixels).save(path)


def ramp(height: int, width: int, scale: float, dtype: Any = np.uint16) -> np.ndarray:
    """Each channel says where a pixel is, in pixels of the degraded picture: row, column, and which picture it is."""
    rows, columns = np.meshgrid(np.arange(height) / scale, np.arange(width) / scale, indexing="ij")
    return np.stack((rows * 1000, columns * 1000, np.full_like(rows, 7)), -1).round().astype(dtype)


def write_pairs(folder: Path, sizes: dict[str, tuple[int, int]], scale: float) -> dict[str, Path]:
    """Pairs whose pixels say where they are; the sizes are of the degraded pictures."""
    for name, (height, width) in sizes.items():
        write(folder / "degraded" / f"{name}.png", ramp(height, width, 1))
        clean = ramp(round(height * scale), round(width * scale), scale)
        write(folder / "clean" / f"{name}.png", clean)
    return {"clean": folder / "clean", "degraded": folder / "degraded"}


def pairs_recipe(folders: dict[str, Path], scale: Any = 1, **changes: Any) -> Recipe:
    data = {name: str(path) for name, path in folders.items()}
    more = {"model": dict(IMPLICIT), "degradation": [], "scale": scale, "patch": 6, **changes}
    return recipe_of(data, **more)


def test_partners_have_the_same_place_and_name_but_for_an_ending(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    for clean, degraded in (("a/x_HR.png", "a/x_LR.png"), ("b/x.png", "b/xx2.png"), ("z.png", "z.jpg")):
        write(tmp_path / "clean" / clean, pixels)
        write(tmp_path / "degraded" / degraded, pixels)
    config = PairsConfig(clean=tmp_path / "clean", degraded=tmp_path / "degraded")
    found = [[path.name for path in pair if path is not None] for pair in open_pairs(config).files]
    assert found == [["x_HR.png", "x_LR.png"], ["x.png", "xx2.png"], ["z.png", "z.jpg"]]
    write(tmp_path / "clean" / "alone.png", pixels)
    with pytest.raises(ImageError, match=r"alone\.png: has no partner in .*degraded, expected one named alone$"):
        open_pairs(config)


@pytest.mark.parametrize("scale", [1, 2, 3, 1.5, 2.5])
def test_patches_of_both_are_of_the_same_place(scale: float, tmp_path: Path) -> None:
    folders = write_pairs(tmp_path, {"a": (20, 16), "b": (12, 30)}, scale)
    recipe = pairs_recipe(folders, scale, batch=40)
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[3]
    side = round(6 * scale)
    assert (batch.degraded.shape, batch.clean.shape) == ((40, 3, 6, 6), (40, 3, side, side))
    for degraded, clean in zip(batch.degraded * 65.535, batch.clean * 65.535, strict=True):
        for axis in (0, 1):  # flips and turns are the same in both, so the smallest row and column are
            first, last = float(degraded[axis].min()), float(degraded[axis].max())
            assert float(clean[axis].min()) == pytest.approx(first, abs=2e-3)
            assert float(clean[axis].max()) == pytest.approx(last + 1 - 1 / scale, abs=2e-3)
    assert len({float(patch[0].min()) for patch in batch.degraded}) > 3


def test_turns_and_flips_are_those_of_the_partner(tmp_path: Path) -> None:
    folders = write_pairs(tmp_path, {"a": (14, 12)}, 1)
    recipe = pairs_recipe(folders, batch=50)
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    assert torch.equal(batch.degraded, batch.clean)
    assert len({int(patch.sum(0).argmin()) for patch in batch.clean}) == 4


def test_sixteen_bits_stay_sixteen_and_colors_become_what_the_network_sees(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 9, 3), dtype=np.uint16)
    write(tmp_path / "clean" / "x.png", deep)
    write(tmp_path / "degraded" / "x.png", (deep // 257).astype(np.uint8))
    config = PairsConfig(clean=tmp_path / "clean", degraded=tmp_path / "degraded")
    pictures = open_pictures(OpenDatasets([Choice(PAIRS, config)], 3), 6, 1, tmp_path / "cache.bin")
    assert isinstance(pictures, KeptPictures)
    pair = pictures[0]
    assert np.array_equal(pair.clean, deep)
    assert pair.degraded is not None
    assert pair.degraded.dtype == np.uint8
    gray = OpenDatasets([Choice(PAIRS, config)], 1)[0]
    assert np.abs(gray.clean[..., 0] - deep @ np.array([0.299, 0.587, 0.114])).max() <= 0.5


def test_batches_of_a_scale_take_pairs_of_that_scale(tmp_path: Path) -> None:
    for scale in (2, 3):
        write_pairs(tmp_path, {f"of{scale}": (12, 12)}, scale)
    folders = {"clean": tmp_path / "clean", "degraded": tmp_path / "degraded"}
    recipe = pairs_recipe(folders, {"each": [2, 3]})
    batches = Batches(recipe, pictures_of(recipe, tmp_path / "run"))
    assert [{Path(name).stem for name in batches[number].files} for number in (0, 1)] == [{"of2"}, {"of3"}]
    other = pairs_recipe(folders, 4)
    with pytest.raises(ImageError, match=r"^got no pair of scale 4, expected some: these are of scale 2, 3$"):
        Batches(other, pictures_of(other, tmp_path / "run")).check()


@given(low=st.integers(1, 40), scale=st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0]), off=st.integers(-1, 1))
def test_what_the_clean_picture_does_not_cover_is_left_alone(low: int, scale: float, off: int) -> None:
    side = max(1, round(low * scale) + off)
    try:
        pair = Pair(np.zeros((side, side, 1), np.uint8), np.zeros((low, low, 1), np.uint8))
        height, width = covered(pair)
    except ImageError:
        return  # no pair
    assert height == width <= low
    assert pair.scale is not None
    assert height * pair.scale <= side + 1e-6


@pytest.mark.parametrize(("scale", "step"), [(1, 1), (2, 1), (1.5, 2), (2.5, 2), (1.25, 4)])
def test_a_step_of_degraded_pixels_is_a_whole_number_of_clean_ones(scale: float, step: int) -> None:
    assert step_of(scale) == step
    assert (step * scale) % 1 == 0


def test_a_patch_that_is_no_whole_number_of_clean_pixels_is_refused(tmp_path: Path) -> None:
    recipe = pairs_recipe(write_pairs(tmp_path, {"a": (12, 12)}, 1.5), 1.5, patch=5)
    with pytest.raises(TrainingError, match=r"^got a patch of 5 pixels for pairs of scale 1\.5, expected one of whole"):
        Batches(recipe, pictures_of(recipe, tmp_path / "run")).check()


def test_pairs_and_clean_pictures_are_trained_on_together(tmp_path: Path) -> None:
    pairs = {name: str(path) for name, path in write_pairs(tmp_path, {"a": (12, 12)}, 1).items()}
    photos = write_pictures(tmp_path / "photos", count=2)
    recipe = recipe_of([pairs, str(photos)], model=dict(IMPLICIT), batch=20)
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    exact = [torch.equal(one, other) for one, other in zip(batch.degraded, batch.clean, strict=True)]
    assert exact == [Path(name).stem == "a" for name in batch.files]  # the others got noise
    assert 0 < sum(exact) < 20


def test_a_run_on_pairs_is_scored_on_pairs_and_resumed_to_the_same(tmp_path: Path) -> None:
    folders = write_pairs(tmp_path, {"a": (24, 24), "b": (24, 24)}, 1)
    validation = {"folder": str(folders["clean"]), "low": str(folders["degraded"]), "protocol": "real-pairs"}
    recipe = pairs_recipe(folders, validation=validation, budget={"steps": 4})
    weights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        trained = train(recipe, tmp_path / name, "run")
        assert trained is not None
        assert trained.run.state.progress.validation is not None
        weights.append(trained.restorer.state_dict())
    assert same(*weights)


def test_pixels_are_read_at_the_depth_that_they_have(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 6, 3), dtype=np.uint16)
    write(tmp_path / "x.png", deep)
    assert np.array_equal(read_pixels(tmp_path / "x.png"), deep)
