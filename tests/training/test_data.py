"""Training pictures and the patches drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from toolbox.errors import ImageError
from toolbox.training.data import random_patches, read_pictures


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def color(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_are_read_by_path_from_all_folders_below(tmp_path: Path) -> None:
    files = {"b.png": color(1), "a/z.PNG": color(2, 4, 9), "c.png": color(3)}
    for name, pixels in files.items():
        write(tmp_path / name, pixels)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    pictures = read_pictures(tmp_path, 3)
    for picture, name in zip(pictures, sorted(files), strict=True):
        assert picture.dtype == torch.uint8
        assert picture.is_contiguous()
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), files[name])


def test_jpeg_is_read_too(tmp_path: Path) -> None:
    for suffix in (".jpg", ".jpeg", ".JPG"):
        write(tmp_path / f"x{suffix}", color(0))
    assert len(read_pictures(tmp_path, 3)) == 3


def test_one_channel_is_luma(tmp_path: Path) -> None:
    pixels = color(4)
    write(tmp_path / "x.png", pixels)
    (picture,) = read_pictures(tmp_path, 1)
    assert picture.shape == (1, 5, 7)
    expected = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(picture[0].numpy() - expected).max() <= 1


def test_gray_pictures_become_color_where_color_is_asked_for(tmp_path: Path) -> None:
    gray = color(5)[..., 0]
    write(tmp_path / "x.png", gray)
    (picture,) = read_pictures(tmp_path, 3)
    assert np.array_equal(picture.numpy(), np.stack([gray] * 3))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(ImageError, match=r": no PNG or JPEG found, expected a folder of training pictures$"):
        read_pictures(tmp_path, 3)


def eight(patch: Tensor) -> list[Tensor]:
    """The eight flips and turns of a patch."""
    turned = [torch.rot90(patch, turns, (-2, -1)) for turns in range(4)]
    return turned + [patch.transpose(-2, -1) for patch in turned]


def pictures() -> list[Tensor]:
    values = torch.randperm(256)[: 2 * 6 * 7].to(torch.uint8)  # no value twice: a patch is where its values are
    return [values[:42].reshape(1, 6, 7), values[42:].reshape(1, 6, 7)]


def draw(sources: list[Tensor], batch: int, side: int, seed: int) -> Tensor:
    return random_patches(sources, batch, side, torch.Generator().manual_seed(seed))


def test_patches_depend_on_the_seed_alone() -> None:
    sources = pictures()
    first = draw(sources, 8, 3, seed=1)
    torch.rand(5)
    assert torch.equal(draw(sources, 8, 3, seed=1), first)
    assert not torch.equal(draw(sources, 8, 3, seed=2), first)


def test_patches_are_pieces_of_the_pictures_in_the_eight_flips_and_turns() -> None:
    sources = pictures()
    pieces = [
        picture[:, top : top + 3, left : left + 3].float() / 255
        for picture in sources
        for top in range(4)
        for left in range(5)
    ]
    known = {variant.numpy().tobytes(): (number, turn)
             for number, piece in enumerate(pieces) for turn, variant in enumerate(eight(piece))}  # fmt: skip
    patches = draw(sources, 3000, 3, seed=0)
    assert patches.shape == (3000, 1, 3, 3)
    assert patches.dtype == torch.float32
    drawn = [known[patch.numpy().tobytes()] for patch in patches]
    assert {number for number, _ in drawn} == set(range(len(pieces)))
    counts = np.bincount([turn for _, turn in drawn], minlength=8)
    assert counts.min() > 0.75 * 3000 / 8


def test_a_patch_may_be_the_whole_picture() -> None:
    picture = pictures()[0][:, :, :6]
    (patch,) = draw([picture], 1, 6, seed=0)
    assert any(torch.equal(patch, variant.float() / 255) for variant in eight(picture))


def test_color_patches_keep_their_channels_together() -> None:
    picture = pictures()[0].expand(3, 6, 7).clone()
    picture[1] = 255 - picture[1]
    patches = draw([picture], 20, 3, seed=0)
    torch.testing.assert_close(patches[:, 1], 1 - patches[:, 0])
    torch.testing.assert_close(patches[:, 2], patches[:, 0])
