"""Alpha follows the picture's geometry, and what lies beneath transparency never shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toolbox
from tests.images.samples import identity, noise
from toolbox.images.engine.alpha import without_hidden_colors

ORANGE = np.array([255, 80, 0]) / 255


def disc(hidden: tuple[int, int, int], dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    """An orange disc with a soft edge; ``hidden`` is the color where nothing is to be seen."""
    rows, columns = np.mgrid[:32, :32]
    alpha = np.clip(12.5 - np.hypot(rows - 16, columns - 16), 0, 1)
    white = np.iinfo(dtype).max
    picture = np.zeros((32, 32, 4), dtype)
    picture[..., 3] = np.round(alpha * white)
    picture[..., :3] = np.round(ORANGE * white)
    picture[picture[..., 3] == 0, :3] = np.array(hidden) * (white // 255)
    return picture


def over(picture: np.ndarray[Any, Any], background: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = picture / np.iinfo(picture.dtype).max
    return values[..., :3] * values[..., 3:] + background * (1 - values[..., 3:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [3, 2.3, 1, 0.4])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (0, 255, 0)])
def test_an_edge_has_no_fringe(hidden: tuple[int, int, int], scale: float, dtype: Any) -> None:
    restored = toolbox.restore(disc(hidden, dtype), identity(), scale=scale)
    assert np.abs(over(restored, ORANGE) - ORANGE).max() <= 1.01 / 255
    whole = over(restored, np.zeros(3))[..., 0].mean() * 32 * 32
    assert whole == pytest.approx(over(disc(hidden), np.zeros(3))[..., 0].sum(), rel=0.012)


def test_a_network_sees_no_hidden_color_either() -> None:
    one, other = (toolbox.restore(disc(hidden), "diinn-lite", scale=2) for hidden in ((0, 0, 0), (255, 255, 255)))
    assert np.array_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**31))
def test_visible_colors_stay_and_hidden_ones_are_between_them(height: int, width: int, part: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    colors = torch.rand(1, 3, height, width, generator=generator)
    alpha = torch.rand(1, 1, height, width, generator=generator) * (
        torch.rand(1, 1, height, width, generator=generator) < part
    )
    visible = alpha[0, 0] > 0
    filled = without_hidden_colors(colors, alpha)
    assert torch.equal(filled[..., visible], colors[..., visible])
    if visible.any():
        seen = colors[..., visible]
        low, high = seen.amin(-1)[..., None], seen.amax(-1)[..., None]
        hidden = filled[..., ~visible]
        assert ((hidden >= low - 1e-5) & (hidden <= high + 1e-5)).all()


def test_what_is_opaque_or_hidden_as_a_whole_is_left_alone() -> None:
    colors = torch.rand(1, 3, 5, 6)
    for value in (0.0, 1.0):
        assert without_hidden_colors(colors, torch.full((1, 1, 5, 6), value)) is colors


def test_hidden_gray_is_filled_too() -> None:
    picture = np.full((16, 16, 2), (200, 255), np.uint8)
    picture[:, 8:] = (0, 0)
    restored = toolbox.restore(picture, identity(), scale=2)
    assert (restored[..., 0] == 200).all()


def test_alpha_alone_stays_what_it_was() -> None:
    picture = noise(9, 8, 4, dtype=np.uint16)
    assert np.array_equal(toolbox.restore(picture, identity())[..., 3], picture[..., 3])
