"""Before and after side by side."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from toolbox.images.compare import GAP, side_by_side


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_before_is_left_and_after_is_right(mode: str) -> None:
    sheet = side_by_side(Image.new(mode, (6, 4), "red"), Image.new("RGB", (6, 4), "blue"))
    assert sheet.mode == "RGB"
    assert sheet.size == (6 + GAP + 6, 4)
    left, gap, right = (np.asarray(sheet)[:, a:b] for a, b in ((0, 6), (6, 6 + GAP), (6 + GAP, None)))
    assert np.array_equal(left, np.asarray(Image.new(mode, (6, 4), "red").convert("RGB")))
    assert (gap == 255).all()
    assert (right == (0, 0, 255)).all()


def test_a_smaller_picture_is_enlarged_bicubically() -> None:
    before = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5)
    sheet = side_by_side(before, Image.new("RGB", (10, 8)))
    left = np.asarray(sheet)[:, :10]
    assert np.array_equal(left, np.asarray(before.resize((10, 8), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("which", ["before", "after"])
def test_sixteen_bits_are_shown_as_bright_as_they_are(which: str) -> None:
    bright = Image.fromarray(np.full((4, 6), 40000, np.uint16))
    gray = Image.new("L", (6, 4), 0)
    sheet = side_by_side(bright, gray) if which == "before" else side_by_side(gray, bright)
    shown = np.asarray(sheet)[:, :6] if which == "before" else np.asarray(sheet)[:, 6 + GAP :]
    assert abs(int(shown[1, 1, 0]) - 40000 // 257) <= 1
