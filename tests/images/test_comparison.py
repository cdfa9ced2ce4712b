"""Pictures side by side."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from toolbox.evaluation.metrics import psnr
from toolbox.images.comparison import (
    GAP,
    LARGEST,
    MAGNIFIED,
    MARK,
    MOST_ENLARGED,
    SHEET,
    SMALLEST,
    draw_comparison,
    side_by_side,
)

Values = NDArray[np.uint8]


def drawn(height: int, width: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def find(sheet: Image.Image, part: Values) -> tuple[int, int] | None:
    """Left and top of a place of the sheet that shows exactly these values."""
    pixels = np.asarray(sheet)
    height, width = part.shape[:2]
    for top, left in np.argwhere((pixels == part[0, 0]).all(-1)):
        if np.array_equal(pixels[top : top + height, left : left + width], part):
            return int(left), int(top)
    return None


def magnified(values: Values, factor: int) -> Values:
    return values.repeat(factor, 0).repeat(factor, 1)


# What is shown.


def test_before_is_left_and_after_is_right_as_they_are() -> None:
    before, after = drawn(700, 600), drawn(700, 600, seed=1)
    sheet = side_by_side(Image.fromarray(before), Image.fromarray(after))
    assert sheet.mode == "RGB"
    left, right = find(sheet, before[:50, :50]), find(sheet, after[:50, :50])
    assert left is not None
    assert right is not None
    assert left[1] == right[1]
    assert right[0] - left[0] == 600 + GAP
    assert (np.asarray(sheet)[-1] == 255).all()  # on white
    assert (np.asarray(sheet)[:, 0] == 255).all()


def test_the_detail_is_shown_from_full_resolution_where_they_differ() -> None:
    """Also of a picture that is far larger than the sheet."""
    before = drawn(1500, 4000)
    after = before.copy()
    after[900:940, 3100:3160] += 128
    made = draw_comparison((Image.fromarray(before), Image.fromarray(after)), ("a", "b"))
    assert made.sheet.width <= SHEET + GAP * 3
    assert made.sheet.height < 1000
    left, top, right, bottom = made.detail
    assert left <= 3106 < 3154 <= right  # nine tenths of it, at least
    assert top <= 904 < 936 <= bottom
    for values in (before, after):
        assert find(made.sheet, magnified(values[top:bottom, left:right], MAGNIFIED)) is not None


def test_a_frame_shows_where_the_detail_is_on_dark_and_on_bright_pictures() -> None:
    for value in (0, 255, 128):
        before = Image.new("L", (600, 400), value)
        after = before.copy()
        after.paste(value ^ 255, (300, 200, 340, 240))
        pixels = np.asarray(side_by_side(before, after)).astype(int)
        whole = pixels[: 400 + 80]
        assert (whole == MARK).all(-1).sum() > 400, value
        assert (np.abs(np.subtract(MARK, value)) > 100).any()


def test_a_small_picture_is_enlarged_pixel_by_pixel_and_needs_no_detail() -> None:
    before, after = drawn(30, 40), drawn(30, 40, seed=1)
    sheet = side_by_side(Image.fromarray(before), Image.fromarray(after))
    for values in (before, after):
        assert find(sheet, magnified(values, MOST_ENLARGED)) is not None
    assert sheet.height < 30 * MOST_ENLARGED + 100


@pytest.mark.parametrize("size", [(1, 1), (3000, 4), (4, 3000), (97, 5)])
def test_any_shape_is_drawn_with_room_for_labels(size: tuple[int, int]) -> None:
    before, after = Image.new("RGB", size), Image.new("RGB", size, "white")
    sheet = side_by_side(before, after, reference=before)
    assert sheet.width >= 3 * SMALLEST
    assert (np.asarray(sheet)[GAP : GAP + 30].min((0, 2)) < 100).sum() > 60  # dark letters


@pytest.mark.parametrize("count", [3, 4, 9])
def test_each_picture_has_a_column(count: int) -> None:
    pictures = [drawn(300, 500, seed) for seed in range(count)]
    sheet = draw_comparison([Image.fromarray(each) for each in pictures], [str(n) for n in range(count)]).sheet
    side = min(max(SHEET // count, SMALLEST), LARGEST)
    assert sheet.width == count * (min(500, side) + GAP) + GAP


# Sizes and modes.


def test_a_smaller_picture_is_enlarged_bicubically_whichever_it_is() -> None:
    small, large = Image.fromarray(drawn(200, 240)), Image.fromarray(drawn(500, 600, seed=1))
    enlarged = np.asarray(small.resize(large.size, Image.Resampling.BICUBIC))
    for sheet in (side_by_side(small, large), side_by_side(large, small)):
        assert find(sheet, enlarged[:50, :50]) is not None
        assert find(sheet, np.asarray(large)[:50, :50]) is not None


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "CMYK", "1"])
def test_pictures_of_any_mode_are_shown_in_color(mode: str) -> None:
    picture = Image.fromarray(drawn(500, 400)).convert(mode)
    sheet = side_by_side(picture, Image.new("L", (400, 500)))
    assert find(sheet, np.asarray(picture.convert("RGB"))[:40, :40]) is not None


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    alpha = drawn(400, 500)[:, :, 0]
    picture = Image.new(mode, (500, 400), "black")
    picture.putalpha(Image.fromarray(alpha))
    sheet = side_by_side(picture, Image.new("L", (500, 400), 7))
    assert find(sheet, 255 - alpha[:40, :40, None].repeat(3, 2)) is not None


def test_sixteen_bits_are_shown_as_bright_as_they_are() -> None:
    bright = Image.fromarray(np.full((400, 600), 40000, np.uint16))
    sheet = side_by_side(bright, Image.new("L", (600, 400), 0))
    assert find(sheet, np.full((300, 300, 3), round(40000 / 257), np.uint8)) is not None


# Scores.


def test_the_reference_has_the_last_column_and_the_others_their_psnr() -> None:
    pictures = [drawn(200, 300, seed) for seed in range(3)]
    made = draw_comparison([Image.fromarray(each) for each in pictures[:2]], ("a", "b"), Image.fromarray(pictures[2]))
    tensors = [torch.from_numpy(each).permute(2, 0, 1)[None] / 255 for each in pictures]
    assert made.psnr == pytest.approx([psnr(each, tensors[2]) for each in tensors[:2]], abs=1e-4)
    assert find(made.sheet, pictures[2][:40, :40].repeat(2, 0).repeat(2, 1)) is not None


def test_a_picture_of_another_size_is_compared_at_the_reference_s() -> None:
    reference = Image.fromarray(drawn(40, 60))
    large = reference.resize((120, 80), Image.Resampling.NEAREST)
    made = draw_comparison((large, reference), ("large", "same"), reference)
    assert made.psnr is not None
    expected = torch.from_numpy(np.asarray(large.resize((60, 40), Image.Resampling.BICUBIC)) / 255)
    assert made.psnr[0] == pytest.approx(psnr(expected, torch.from_numpy(np.asarray(reference) / 255)), abs=1e-4)
    assert made.psnr[1] == math.inf


def test_without_a_reference_there_is_no_score() -> None:
    assert draw_comparison((Image.new("L", (5, 5)),) * 2, ("a", "b")).psnr is None
