"""Tar archives: examples by their names, read at any place, and refused where they are something else."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.runs import pictures_of, recipe_of
from toolbox.datasets.shards import ShardsConfig, open_shards
from toolbox.errors import ImageError
from toolbox.training.data import Batches
from toolbox.training.loop import train


def png(pixels: np.ndarray) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    return memory.getvalue()


def pixels(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side + 1), dtype=np.uint8)


def write_tar(path: Path, files: dict[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def pairs(*numbers: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number in numbers:
        files[f"{number:03}.clean.png"] = png(pixels(number))
        files[f"{number:03}.degraded.png"] = png(pixels(100 + number))
        files[f"{number:03}.json"] = json.dumps({"sigma": 10 * number}).encode()
    return files


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    write_tar(folder / "0.tar", pairs(0, 1, 2))
    write_tar(folder / "1.tar", {"README": b"no picture", **pairs(3, 4)})
    return folder


def test_examples_are_read_at_any_place(shards: Path) -> None:
    opened = pickle.loads(pickle.dumps(open_shards(ShardsConfig(shards=shards))))  # noqa: S301  # as a worker gets it
    assert len(opened) == 5
    for number in (4, 0, 3, 0):
        example = opened[number]
        assert np.array_equal(example.clean, pixels(number))
        assert np.array_equal(example.degraded, pixels(100 + number))
        assert example.conditions == {"sigma": 10.0 * number}
        assert example.name.endswith(f"{number:03}.clean.png")


def test_fields_have_the_names_that_are_asked_for(tmp_path: Path) -> None:
    files = {"a/x.jpg.png": png(pixels(1)), "a/x.gt.png": png(pixels(2)), "b/x.gt.png": png(pixels(3)), "c.txt": b""}
    path = write_tar(tmp_path / "one.tar", files)
    alone = open_shards(ShardsConfig(shards=path, clean="gt", degraded=None))
    assert [np.array_equal(each.clean, pixels(number)) for each, number in zip(alone, (2, 3), strict=True)] == [
        True
    ] * 2
    assert all(each.degraded is None for each in alone)
    with pytest.raises(ImageError, match=r"one\.tar: b/x\.gt\.png: has no partner, expected a file of the field 'jpg'"):
        open_shards(ShardsConfig(shards=path, clean="gt", degraded="jpg"))


def test_two_archives_are_told_apart(shards: Path) -> None:
    first = open_shards(ShardsConfig(shards=shards)).digest
    assert open_shards(ShardsConfig(shards=shards)).digest == first
    write_tar(shards / "2.tar", pairs(5))
    assert open_shards(ShardsConfig(shards=shards)).digest != first


def test_a_network_is_trained_on_them_and_told_their_conditions(shards: Path, tmp_path: Path) -> None:
    model = {"channels": 1, "conditions": {"sigma": {"unit": 255}}, "encoder": "identity", "decoder": "conv"}
    recipe = recipe_of(
        {"name": "webdataset", "shards": str(shards)},
        model={"global_skip": "none", **model},
        degradation=[],
        batch=20,
        budget={"steps": 2},
    )
    batch = Batches(recipe, pictures_of(recipe, tmp_path / "run"))[0]
    for number, (name, sigma) in enumerate(zip(batch.files, batch.conditions["sigma"].tolist(), strict=True)):
        which = int(Path(name.split(": ")[1]).name[:3])
        assert sigma == 10 * which
        values = set((batch.degraded[number] * 255).round().flatten().int().tolist())
        assert values <= set(pixels(100 + which).flatten().tolist())
    trained = train(recipe, tmp_path / "run", "run", workers=1)
    assert trained is not None
    assert all(torch.isfinite(each).all() for each in trained.restorer.parameters())


def test_what_is_no_archive_of_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"empty: no archive found, expected files such as 000\.tar$"):
        open_shards(ShardsConfig(shards=tmp_path / "empty"))
    with pytest.raises(ImageError, match=r"none\.tar: cannot be read: No such file or directory$"):
        open_shards(ShardsConfig(shards=tmp_path / "none.tar"))
    packed = write_tar(tmp_path / "packed.tar", pairs(1), "w:gz")
    with pytest.raises(
        ImageError, match=r"packed\.tar: cannot be read as a tar archive, which must not be compressed: "
    ):
        open_shards(ShardsConfig(shards=packed))
    other = write_tar(tmp_path / "other.tar", {"x.txt": b"word"})
    with pytest.raises(ImageError, match=r"other\.tar: no picture found, expected names such as 000001\.clean\.png$"):
        open_shards(ShardsConfig(shards=other))
    files = {"1.clean.png": b"no picture", "2.clean.png": png(pixels(1)), "2.json": b"[1]"}
    opened = open_shards(ShardsConfig(shards=write_tar(tmp_path / "bad.tar", files), degraded=None))
    with pytest.raises(ImageError, match=r"bad\.tar: 1\.clean\.png"):
        opened[0]
    with pytest.raises(ImageError, match=r"bad\.tar: 2\.json: expected a JSON mapping of conditions to numbers$"):
        opened[1]
