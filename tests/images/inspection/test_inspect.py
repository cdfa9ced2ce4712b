"""What is seen in a picture of known faults, and the models that it would take."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import toolbox
from toolbox.errors import ImageError
from toolbox.images.inspection.choice import choose
from toolbox.images.inspection.inspect import MOST, WINDOW
from toolbox.images.inspection.sharpness import estimate_blur

COFFEE = Path(__file__).parents[3] / "examples" / "photos" / "coffee.png"


def coffee() -> Image.Image:
    with Image.open(COFFEE) as picture:
        return picture.convert("RGB")


def test_a_path_an_image_an_array_and_a_tensor_are_seen_alike() -> None:
    seen = toolbox.inspect(COFFEE)
    pixels = np.array(coffee())
    assert seen.size == coffee().size
    assert (seen.channels, seen.bits, seen.jpeg) == (3, 8, None)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    assert toolbox.inspect(str(COFFEE)) == toolbox.inspect(coffee()) == toolbox.inspect(pixels) == seen
    assert toolbox.inspect(tensor) == seen


def test_the_depth_does_not_matter() -> None:
    pixels = np.array(coffee())
    seen, deep = toolbox.inspect(pixels), toolbox.inspect(pixels.astype(np.uint16) * 257)
    assert deep.bits == 16
    assert deep.noise == pytest.approx(seen.noise, abs=0.02)


def test_a_file_tells_its_own_quality(tmp_path: Path) -> None:
    coffee().save(tmp_path / "it.jpg", quality=62)
    assert toolbox.inspect(tmp_path / "it.jpg").jpeg == 62


def test_clipping_is_the_share_of_values() -> None:
    pixels = np.full((40, 50, 3), 128, np.uint8)
    pixels[:10], pixels[:, :5, 0] = 255, 0
    seen = toolbox.inspect(pixels)
    assert seen.white == pytest.approx((10 * 50 * 3 - 10 * 5) / pixels.size, abs=1e-4)
    assert seen.black == pytest.approx(40 * 5 / pixels.size, abs=1e-4)


@pytest.mark.parametrize("deviation", [1.0, 1.5, 2.5])
def test_the_blur_of_a_step_is_that_of_its_gaussian(deviation: float) -> None:
    place = torch.arange(96) - 47.5
    profile = 0.2 + 0.6 * torch.special.ndtr(place / deviation)
    blur = estimate_blur([profile.expand(96, 96)])
    assert blur == pytest.approx(deviation, rel=0.15)


def test_without_an_edge_there_is_no_blur() -> None:
    assert estimate_blur([torch.full((40, 40), 0.5)]) is None
    assert toolbox.inspect(np.full((4, 5), 9, np.uint8)).blur is None


def test_a_large_picture_is_seen_in_windows() -> None:
    side = MOST * WINDOW + 77
    pixels = np.tile(np.random.default_rng(0).normal(128, 20, (side, 1)), (1, side))
    noisy = pixels + np.random.default_rng(1).normal(0, 15, (side, side))
    memory = io.BytesIO()
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(memory, "JPEG", quality=70)
    with Image.open(memory) as picture:
        seen = toolbox.inspect(np.asarray(picture))
    assert seen.size == (side, side)
    assert seen.jpeg is not None
    assert abs(seen.jpeg - 70) <= 5  # the windows keep the grid of blocks


@pytest.mark.parametrize(
    ("noise", "jpeg", "resizes", "models", "reason"),
    [
        (0.5, None, False, (), "clean"),
        (0.5, 97, False, (), "clean"),
        (0.5, None, True, ("diinn-lite",), "clean"),
        (12.2, None, False, ("photo",), "noise of σ = 12"),
        (12.2, None, True, ("photo", "diinn-lite"), "noise of σ = 12"),
        (0.5, 60, False, ("photo",), "JPEG of quality 60"),
        (25.0, 60, True, ("photo", "diinn-lite"), "noise of σ = 25 and JPEG of quality 60"),
    ],
)
def test_the_faults_choose_the_models(
    noise: float, jpeg: int | None, resizes: bool, models: tuple[str, ...], reason: str
) -> None:
    choice = choose(noise, jpeg, resizes=resizes)
    assert (choice.models, choice.reason) == (models, reason)


@pytest.mark.parametrize("image", ["none.png", np.zeros((4, 4), np.int64), np.zeros((0, 3), np.uint8)])
def test_what_is_no_picture_is_refused(image: Any) -> None:
    with pytest.raises(ImageError, match=r"^(none\.png: cannot be read|got an array of)"):
        toolbox.inspect(image)
