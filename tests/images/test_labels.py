"""Text on sheets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from toolbox.images.labels import LINES, draw_label, label_height

AT = (10, 12)


def written(text: str, width: int, size: int) -> tuple[int, int, int, int] | None:
    """The box of what is written at AT on a sheet that is larger; None if that is nothing."""
    sheet = Image.new("L", (width + 200, LINES * 2 * size + 100))
    draw_label(ImageDraw.Draw(sheet), AT, text, width, size, "white")
    return sheet.getbbox()


@given(text=st.text(max_size=200), width=st.integers(60, 400), size=st.sampled_from([13, 15, 20]))
def test_any_text_stays_in_its_room(text: str, width: int, size: int) -> None:
    box = written(text, width, size)
    if box is not None:
        assert box[0] >= AT[0] - 2
        assert box[2] <= AT[0] + width + 2
        assert box[3] <= AT[1] + label_height(text, width, size) + 2
    assert label_height(text, width, size) <= LINES * (size + size // 4)


def test_short_text_takes_a_line_and_long_text_two() -> None:
    one, two = label_height("photo.png", 200, 20), label_height("photo.png " * 40, 200, 20)
    assert two == 2 * one
    short, long = written("photo.png", 200, 20), written("photo.png " * 40, 200, 20)
    assert short is not None
    assert long is not None
    assert long[3] - long[1] > 1.5 * (short[3] - short[1])


def test_words_are_kept_whole_unless_they_are_longer_than_a_line() -> None:
    wide = written("a" * 100, 200, 15)
    assert wide is not None
    assert wide[2] - wide[0] > 150  # the first line is full


@pytest.mark.parametrize("size", [13, 20])
def test_letters_are_as_large_as_asked_for(size: int) -> None:
    box = written("Hg", 200, size)
    assert box is not None
    assert 0.7 * size < box[3] - box[1] <= 1.2 * size


def test_what_the_sheets_write_has_letters() -> None:
    """The font's sign for a letter that it lacks is a box, the same for all of them."""

    def drawn(letter: str) -> bytes:
        sheet = Image.new("L", (60, 60))
        draw_label(ImageDraw.Draw(sheet), (5, 5), letter, 50, 20, "white")
        return np.asarray(sheet).tobytes()

    lacking = drawn("\u4e00")
    for letter in "abcxyz0123456789.,:()…_-":
        assert drawn(letter) != lacking, letter
