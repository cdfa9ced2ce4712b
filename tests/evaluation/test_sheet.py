"""Comparison sheets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolbox.evaluation.sheet import CELL, CROP, GAP, TEXT, SheetRow, draw_sheet


def row(height: int, width: int, channels: int = 3, models: int = 2) -> SheetRow:
    original = torch.full((1, channels, height, width), 0.5)
    return SheetRow(
        "picture", original, original[..., ::2, ::2], {f"model {n}": original.clone() for n in range(models)}
    )


@pytest.mark.parametrize(("height", "width", "channels"), [(200, 150, 3), (40, 300, 1), (CROP, CROP, 3), (5, 7, 1)])
def test_each_picture_has_a_row_and_each_model_a_column(height: int, width: int, channels: int) -> None:
    sheet = draw_sheet([row(height, width, channels), row(height, width, channels, models=1)])
    assert sheet.width == 4 * (CELL + GAP) + GAP
    assert sheet.height == 2 * (TEXT + 2 * CELL + 2 * GAP) + GAP


def test_the_crop_is_where_the_first_model_errs_and_the_map_shows_it_beneath() -> None:
    drawn = row(400, 400)
    drawn.restored["model 0"][..., 304:400, 208:304] = 0.6
    pixels = np.asarray(draw_sheet([drawn])).astype(int)
    top, left = GAP + TEXT, 2 * (CELL + GAP) + GAP
    crop = pixels[top : top + CELL, left : left + CELL]
    error = pixels[top + CELL + GAP : top + 2 * CELL + GAP, left : left + CELL]
    assert (crop == 153).all()
    assert (error == 128).all() or (error == 127).all()  # five times a tenth
    beside = pixels[top + CELL + GAP : top + 2 * CELL + GAP, left + CELL + GAP : left + 2 * CELL + GAP]
    assert (beside == 0).all()
    assert (pixels[top : top + CELL, GAP : GAP + CELL] == 128).all()  # the original


def test_names_are_written() -> None:
    pixels = np.asarray(draw_sheet([row(100, 100)]))
    for column in range(4):
        left = column * (CELL + GAP) + GAP
        assert (pixels[:TEXT, left : left + CELL] < 100).any()
