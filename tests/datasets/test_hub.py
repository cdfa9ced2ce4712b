"""Datasets of the package ``datasets``: rows with pictures at their own depth, and refused where they are not."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.runs import pictures_of, recipe_of
from toolbox.config import validated
from toolbox.datasets.hub import HuggingFaceConfig, open_rows
from toolbox.errors import ImageError, ToolboxError
from toolbox.training.data import Batches
from toolbox.training.loop import train

datasets = pytest.importorskip("datasets", reason="the extra `datasets` is not installed")

CLEAN = [np.random.default_rng(number).integers(0, 2**16, (16, 17), np.uint16) for number in range(4)]
NOISY = [np.random.default_rng(9 + number).integers(0, 256, (16, 17, 3), np.uint8) for number in range(4)]
BANDS = [np.random.default_rng(20 + number).integers(0, 2**16, (8, 9, 5), np.uint16) for number in range(4)]


def png(pixels: np.ndarray) -> dict[str, Any]:
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    return {"bytes": memory.getvalue(), "path": None}


@pytest.fixture(autouse=True)
def _quiet_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A dataset of two splits, as ``save_to_disk`` writes it."""
    columns = {
        "image": [png(each) for each in CLEAN],
        "noisy": [png(each) for each in NOISY],
        "bands": BANDS,
        "sigma": [0, 10, 20, 30],
        "text": ["word"] * 4,
    }
    features = datasets.Features(
        image=datasets.Image(),
        noisy=datasets.Image(),
        bands=datasets.Array3D((8, 9, 5), "uint16"),
        sigma=datasets.Value("float32"),
        text=datasets.Value("string"),
    )
    table = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": table, "test": table.select([3])}).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def config(path: Path, **settings: Any) -> HuggingFaceConfig:
    return HuggingFaceConfig(path=str(path), **settings)


def test_rows_are_read_at_any_place_and_their_own_depth(saved: Path) -> None:
    rows = open_rows(config(saved, degraded="noisy", conditions=["sigma"]))
    rows = pickle.loads(pickle.dumps(rows))  # noqa: S301  # as a worker gets it
    assert len(rows) == 4
    for number in (2, 0, 3):
        example = rows[number]
        assert example.clean.dtype == np.uint16
        assert np.array_equal(example.clean, CLEAN[number])
        assert np.array_equal(example.degraded, NOISY[number])
        assert example.conditions == {"sigma": 10.0 * number}
        assert example.name == f"{saved}: row {number}"


def test_a_split_and_a_folder_of_one_are_opened(saved: Path) -> None:
    (row,) = open_rows(config(saved, split="test"))
    assert np.array_equal(row.clean, CLEAN[3])
    assert np.array_equal(open_rows(config(saved / "test"))[0].clean, CLEAN[3])


def test_arrays_keep_their_type_and_bands(saved: Path) -> None:
    example = open_rows(config(saved, clean="bands"))[1]
    assert example.clean.dtype == np.uint16
    assert np.array_equal(example.clean, BANDS[1])


def test_a_folder_of_pictures_is_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(CLEAN):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    rows = open_rows(config(tmp_path / "photos"))
    assert [np.array_equal(row.clean, pixels) for row, pixels in zip(rows, CLEAN, strict=True)] == [True] * 4
    assert len(open_rows(config(tmp_path / "photos", split="train[:2]"))) == 2


def test_a_network_is_trained_on_them_and_gets_their_conditions(saved: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        {"name": "huggingface", "path": str(saved), "degraded": "noisy", "conditions": ["sigma"]},
        model={"channels": 1, "conditions": {"sigma": {}}, "encoder": "identity", "decoder": "conv"},
        degradation=[],
        batch=20,
        budget={"steps": 2},
    )
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    for name, sigma, clean in zip(batch.files, batch.conditions["sigma"], batch.clean, strict=True):
        number = int(name.rpartition(" ")[2])
        assert sigma == 10 * number
        assert set((clean * 65535).round().int().flatten().tolist()) <= set(CLEAN[number].flatten().tolist())
    trained = train(recipe, tmp_path / "run", "run", workers=1)
    assert trained is not None
    assert all(torch.isfinite(each).all() for each in trained.restorer.parameters())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"split": "dev"}, r"saved: cannot be opened: got the split 'dev', expected one of train, test$"),
        ({"clean": "picture"}, r"saved: got the column 'picture', expected one of image, noisy, bands, sigma, text$"),
        ({"clean": "text"}, r"saved: the column 'text' holds Value\('string'\), expected images or arrays$"),
        ({"conditions": ["noise"]}, r"saved: got the column 'noise', expected one of "),
    ],
)
def test_what_it_does_not_have_is_refused(settings: dict[str, Any], sentence: str, saved: Path) -> None:
    with pytest.raises(ImageError, match=sentence):
        open_rows(config(saved, **settings))


def test_a_dataset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere: cannot be opened: "):
        open_rows(config(tmp_path / "nowhere"))


def test_a_damaged_picture_is_named_with_its_row(tmp_path: Path) -> None:
    features = datasets.Features(image=datasets.Image())
    damaged = datasets.Dataset.from_dict({"image": [{"bytes": b"no picture", "path": None}]}, features=features)
    damaged.save_to_disk(tmp_path / "damaged")
    with pytest.raises(ImageError, match=r"damaged: row 0, image"):
        open_rows(config(tmp_path / "damaged"))[0]


def test_without_the_package_a_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ToolboxError, match=r"not installed; pip install 'toolbox-restoration\[datasets\]'$"):
        open_rows(validated(HuggingFaceConfig, {"path": "any"}, None))
