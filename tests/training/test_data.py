"""Training pictures, their cache, and the batches that are drawn from them."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from tests.training.runs import implicit_recipe, pictures_of, recipe_of, write_pictures
from toolbox.choice import Choice
from toolbox.datasets.folders import PICTURES, PicturesConfig
from toolbox.errors import ImageError, TrainingError
from toolbox.files import written_beside
from toolbox.imresize import imresize
from toolbox.training.data import Batches, generator_of
from toolbox.training.pictures import DataWarning, KeptPictures, OpenDatasets, Pictures, open_pictures


def color(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def open_all(folder: Path, channels: int = 3, side: int = 1) -> KeptPictures:
    datasets = OpenDatasets([Choice(PICTURES, PicturesConfig(folder=folder))], channels)
    pictures = open_pictures(datasets, side, 1.0, folder / "cache.bin")
    assert isinstance(pictures, KeptPictures)
    return pictures


def digest_of(folder: Path) -> str:
    return OpenDatasets([Choice(PICTURES, PicturesConfig(folder=folder))], 3).digest


def whole(pictures: Pictures, number: int) -> np.ndarray:
    return np.asarray(pictures[number].clean)


def test_pictures_are_those_of_all_folders_below_by_path(tmp_path: Path) -> None:
    files = {"b.png": color(1), "a/z.PNG": color(2, 4, 9), "c.tif": color(3)}
    for name, pixels in files.items():
        write(tmp_path / name, pixels)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    pictures = open_all(tmp_path)
    assert pictures.names == [str(tmp_path / name) for name in sorted(files)]
    for number, name in enumerate(sorted(files)):
        assert np.array_equal(whole(pictures, number), files[name])


def test_one_channel_is_luma_and_gray_pictures_get_three(tmp_path: Path) -> None:
    pixels = color(4)
    write(tmp_path / "a" / "x.png", pixels)
    write(tmp_path / "b" / "x.png", pixels[..., 0])
    luma = whole(open_all(tmp_path / "a", channels=1), 0)[..., 0]
    assert np.abs(luma - pixels @ np.array([0.299, 0.587, 0.114])).max() <= 1
    assert np.array_equal(whole(open_all(tmp_path / "b"), 0), np.stack([pixels[..., 0]] * 3, -1))


def test_sixteen_bits_stay_sixteen(tmp_path: Path) -> None:
    levels = np.array([[0, 257 * 3, 65535], [257 * 200, 300, 40000]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert np.array_equal(whole(open_all(tmp_path, channels=1), 0)[..., 0], levels)


def test_pictures_are_decoded_once_and_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbox.datasets import folders

    write(tmp_path / "x.png", color(1))
    first = digest_of(tmp_path)
    open_all(tmp_path)
    monkeypatch.setattr(folders, "read_pixels", lambda path: pytest.fail("decoded again"))
    open_all(tmp_path)
    monkeypatch.undo()
    write(tmp_path / "x.png", color(2, 6, 8))
    assert digest_of(tmp_path) != first
    assert np.array_equal(whole(open_all(tmp_path), 0), color(2, 6, 8))


def test_removed_pictures_leave_nothing(tmp_path: Path) -> None:
    write(tmp_path / "x.png", color(1))
    open_all(tmp_path).remove()
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_worker_gets_the_place_of_the_pixels_and_not_a_copy(tmp_path: Path) -> None:
    write(tmp_path / "x.png", color(1, 200, 200))
    pictures = open_all(tmp_path)
    before = whole(pictures, 0)
    sent = pickle.dumps(pictures)
    assert len(sent) < 2000
    assert np.array_equal(whole(pickle.loads(sent), 0), before)  # noqa: S301  # as a worker gets it


def test_damaged_and_small_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png", color(1, 9, 9))
    write(tmp_path / "b.png", color(2, 9, 4))
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    write(tmp_path / "d.png", color(3, 9, 9))
    with pytest.warns(DataWarning, match=r"^left out 2 of 4 pictures: .*b\.png: 4x9 is smaller .* 5x5; .*c\.png: "):
        pictures = open_all(tmp_path, side=5)
    assert [Path(name).name for name in pictures.names] == ["a.png", "d.png"]
    assert pictures.left_out == 2
    with pytest.warns(DataWarning, match=r"^left out 2 of 4"):  # also when they come from the cache
        open_all(tmp_path, side=5)


def test_folders_without_a_picture_that_can_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"missing: is not a folder, expected one with training pictures$"):
        open_all(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(ImageError, match=r": no picture found, expected some with suffixes such as \.png or \.jpg$"):
        open_all(tmp_path)
    write(tmp_path / "x.png", color(1))
    with (
        pytest.warns(DataWarning),
        pytest.raises(ImageError, match=r": no picture can be used, expected some of at least 6x6, a patch's size$"),
    ):
        open_all(tmp_path, side=6)


def eight(patch: Tensor) -> list[Tensor]:
    """The eight flips and turns of a patch."""
    turned = [torch.rot90(patch, turns, (-2, -1)) for turns in range(4)]
    return turned + [patch.transpose(-2, -1) for patch in turned]


def test_patches_are_pieces_of_the_pictures_in_the_eight_flips_and_turns(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).permutation(2 * 6 * 7).astype(np.uint8).reshape(2, 6, 7)  # no value twice
    for number, pixels in enumerate(levels):
        write(tmp_path / f"{number}.png", pixels)
    recipe = recipe_of(tmp_path, patch=3, batch=1000, degradation={"name": "gaussian-noise", "sigma": 0})
    clean = Batches(recipe, open_all(tmp_path, channels=1))[5].clean
    assert clean.shape == (1000, 1, 3, 3)
    crops = {
        variant.numpy().tobytes(): (picture, top, left, turn)
        for picture in range(2)
        for top in range(4)
        for left in range(5)
        for turn, variant in enumerate(
            eight(torch.from_numpy(levels[picture, top : top + 3, left : left + 3].copy()).float() / 255)
        )
    }
    drawn = [crops[patch.numpy().tobytes()] for patch in clean]
    assert len({each[:3] for each in drawn}) == 2 * 4 * 5
    assert min(Counter(each[3] for each in drawn).values()) > 0.7 * 1000 / 8


def test_a_batch_depends_on_the_seed_and_its_number_alone(tmp_path: Path) -> None:
    recipe = recipe_of(write_pictures(tmp_path / "data"))
    pictures = pictures_of(recipe, tmp_path / "run")
    batches = Batches(recipe, pictures)
    first = batches[3]
    torch.rand(5)
    assert torch.equal(batches[3].degraded, first.degraded)
    assert not torch.equal(batches[4].degraded, first.degraded)
    other = Batches(recipe.model_copy(update={"seed": 1}), pictures)
    assert not torch.equal(other[3].degraded, first.degraded)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int, tmp_path: Path) -> None:
    recipe = implicit_recipe(write_pictures(tmp_path / "data"), points=5, degradation=["bicubic", "eight-bits"])
    batches = Batches(recipe, pictures_of(recipe, tmp_path / "run"))
    loader = DataLoader(batches, batch_size=None, sampler=range(2, 7), num_workers=workers)
    for number, batch in enumerate(loader, 2):
        for got, expected in zip(batch, batches[number], strict=True):
            if isinstance(got, Tensor):
                assert isinstance(expected, Tensor)
                assert torch.equal(got, expected)
            else:
                assert got == expected


@given(batch=st.integers(1, 3), processes=st.integers(1, 3), number=st.integers(0, 50))
def test_processes_share_what_one_would_see_with_a_larger_batch(batch: int, processes: int, number: int) -> None:
    folder = Path(__file__).parents[2] / "examples" / "photos"
    recipe = recipe_of(folder, patch=4, batch=batch)
    data = _cached(folder)
    alone = Batches(recipe.model_copy(update={"batch": batch * processes}), data)[number]
    parts = [Batches(recipe, data, process)[number] for process in range(processes)]
    assert torch.equal(torch.cat([part.degraded for part in parts]), alone.degraded)
    assert [file for part in parts for file in part.files] == alone.files


_caches: dict[Path, Pictures] = {}


def _cached(folder: Path) -> Pictures:
    """Opened once for all examples of a property."""
    if folder not in _caches:
        import tempfile

        target = Path(tempfile.mkdtemp()) / "pictures.bin"
        datasets = OpenDatasets([Choice(PICTURES, PicturesConfig(folder=folder))], 1)
        _caches[folder] = open_pictures(datasets, 4, 1.0, target)
        _ = _caches[folder][0]  # mapped
        _caches[folder].remove()
        target.parent.rmdir()
    return _caches[folder]


def test_scales_go_round_or_are_drawn_for_every_batch(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", side=40)
    recipe = implicit_recipe(data, scale={"each": [2, 3, 4]})
    batches = Batches(recipe, pictures_of(recipe, tmp_path / "run"))
    assert [batches[number].clean.shape[-1] for number in range(5)] == [12, 18, 24, 12, 18]
    drawn = Batches(implicit_recipe(data, scale={"between": [1, 4]}), batches.pictures)
    scales = [drawn.scale(number) for number in range(300)]
    assert 1 <= min(scales) < 1.1
    assert 3.9 < max(scales) <= 4
    assert np.mean(scales) == pytest.approx(2.5, abs=0.15)
    assert all(drawn[number].degraded.shape[-1] == 6 for number in range(4))
    assert drawn[7].clean.shape[-1] == round(6 * scales[7])


def test_the_degraded_patch_is_made_by_each_degradation_in_turn(tmp_path: Path) -> None:
    chain = ["bicubic", {"name": "gaussian-noise", "sigma": 50}, "eight-bits"]
    recipe = implicit_recipe(write_pictures(tmp_path / "data"), degradation=chain, scale=2)
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    small = imresize((batch.clean * 255).round().to(torch.uint8), size=(6, 6)) / 255
    assert ((batch.degraded - small) * 255).std() > 25
    torch.testing.assert_close(batch.degraded * 255, (batch.degraded * 255).round())


def test_degradations_that_do_not_fit_the_scale_are_refused(tmp_path: Path) -> None:
    recipe = implicit_recipe(write_pictures(tmp_path / "data"), degradation=["eight-bits"], scale={"each": [1, 2]})
    with pytest.raises(TrainingError, match=r"^degradation eight-bits made \(3, 12, 12\) of \(3, 12, 12\), expected"):
        Batches(recipe, pictures_of(recipe, tmp_path / "run")).check()


def test_points_are_pixels_of_the_clean_patch_without_repetition(tmp_path: Path) -> None:
    recipe = implicit_recipe(write_pictures(tmp_path / "data"), points=100)
    batches = Batches(recipe, pictures_of(recipe, tmp_path / "run"))
    points = batches[0].points
    assert points is not None
    assert points.shape == (2, 100)
    assert all(len(set(row.tolist())) == 100 for row in points)
    assert points.min() >= 0
    assert points.max() < 12 * 12
    assert batches[1].points is not None
    assert batches[1].points.max() > 12 * 12


def test_generators_of_different_numbers_differ() -> None:
    numbers = [(0,), (0, 0), (0, 0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 1, 0)]
    seeds = [generator_of(*each).initial_seed() for each in numbers]
    assert len(set(seeds)) == len(numbers)


def test_names_are_never_beside_the_pixels_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbox.training import pictures

    write(tmp_path / "x.png", color(1))
    write(tmp_path / "y.png", color(2, 4, 4))
    expected = whole(open_all(tmp_path), 0)
    written = written_beside
    with monkeypatch.context() as patch:  # killed between the two files, while other pictures are decoded
        patch.setattr(pictures, "written_beside", lambda path: 1 / 0 if path.suffix == ".json" else written(path))
        with pytest.raises(ZeroDivisionError):
            open_all(tmp_path, channels=1)
    assert np.array_equal(whole(open_all(tmp_path), 0), expected)
