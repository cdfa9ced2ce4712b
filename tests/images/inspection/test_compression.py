"""The quality of a JPEG, found by its tables and by its pixels, against the quality that Pillow was given."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.shared import reference
from toolbox.images.inspection.compression import quality_of_pixels, quality_of_tables

KEPT_ASIDE = ("clean_kodim05", "clean_kodim15", "clean_kodim23")


def original(name: str) -> Image.Image:
    with Image.open(reference("data", "photos", f"{name}.png")) as picture:
        return picture.convert("RGB")


def jpeg(picture: Image.Image, quality: int, **more: Any) -> Image.Image:
    memory = io.BytesIO()
    picture.save(memory, "JPEG", quality=quality, **more)
    return Image.open(memory)


def luma(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(picture.convert("RGB")).astype(np.float64) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 77, 90, 99])
def test_tables_tell_the_quality(quality: int) -> None:
    picture = jpeg(Image.new("RGB", (16, 16), "gray"), quality)
    assert quality_of_tables(picture.quantization) == quality  # type: ignore[attr-defined]


@pytest.mark.parametrize("quality", [10, 30, 50, 70, 85])
@pytest.mark.parametrize("name", KEPT_ASIDE)
def test_pixels_that_were_saved_again_tell_the_quality(name: str, quality: int) -> None:
    found = quality_of_pixels(luma(jpeg(original(name), quality)))
    assert found is not None
    assert abs(found - quality) <= 5


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("corner", [(0, 3), (5, 0), (4, 7)])
def test_a_part_with_a_shifted_grid_tells_it_too(corner: tuple[int, int], subsampling: str) -> None:
    pixels = luma(jpeg(original(KEPT_ASIDE[0]), 40, subsampling=subsampling))[corner[0] :, corner[1] :]
    found = quality_of_pixels(pixels)
    assert found is not None
    assert abs(found - 40) <= 5


@pytest.mark.parametrize("name", KEPT_ASIDE)
def test_an_earlier_jpeg_is_seen_behind_a_better_one(name: str) -> None:
    again = jpeg(jpeg(original(name), 30), 95)
    found = quality_of_pixels(luma(again), again.quantization)  # type: ignore[attr-defined]
    assert found is not None
    assert abs(found - 30) <= 5


@pytest.mark.parametrize("name", KEPT_ASIDE)
def test_a_picture_that_was_never_a_jpeg_shows_none(name: str) -> None:
    picture = original(name)
    assert quality_of_pixels(luma(picture)) is None
    once = jpeg(picture, 90)
    assert quality_of_pixels(luma(once), once.quantization) is None  # type: ignore[attr-defined]


def test_too_little_to_tell_is_none() -> None:
    assert quality_of_pixels(np.full((64, 64), 100.0)) is None
    assert quality_of_pixels(np.random.default_rng(0).uniform(0, 255, (7, 5))) is None
