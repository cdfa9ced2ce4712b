"""Scores against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolbox.evaluation.metrics import luma, psnr


@given(height=st.integers(1, 9), width=st.integers(1, 9), distance=st.floats(1e-6, 1))
def test_psnr_is_that_of_the_mean_squared_error(height: int, width: int, distance: float) -> None:
    original = torch.rand(2, 3, height, width, dtype=torch.float64)
    restored = original + distance * torch.randn_like(original)
    squared = (restored.numpy() - original.numpy()) ** 2
    assert psnr(restored, original) == pytest.approx(10 * np.log10(1 / np.mean(squared)))


def test_a_hundredth_off_is_forty_decibels() -> None:
    image = torch.rand(1, 1, 4, 5, dtype=torch.float64)
    assert psnr(image + 0.01, image) == pytest.approx(40)


def test_equal_images_are_infinitely_good() -> None:
    image = torch.rand(1, 3, 4, 5)
    assert psnr(image, image) == math.inf


def test_single_precision_is_averaged_in_double() -> None:
    original = torch.zeros(1, 1, 512, 512)
    restored = torch.full_like(original, 1e-3)
    assert psnr(restored, original) == pytest.approx(-20 * math.log10(float(np.float32(1e-3))), abs=1e-9)


def test_luma_weighs_red_green_and_blue_as_matlab_does_without_the_offset() -> None:
    image = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    red, green, blue = image.numpy().transpose(1, 0, 2, 3)
    expected = (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    assert luma(image).shape == (2, 1, 4, 5)
    np.testing.assert_allclose(luma(image).numpy()[:, 0], expected)


def test_luma_of_white_spans_sixteen_to_two_hundred_and_thirty_five() -> None:
    white = luma(torch.ones(1, 3, 1, 1, dtype=torch.float64)).item()
    assert 255 * white == pytest.approx(235 - 16, abs=0.02)
