"""Protocols against their definitions, written in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.evaluation.protocols import PROTOCOLS, Protocol

Array = npt.NDArray[np.float64]


def protocol(name: str) -> Protocol:
    return next(each for each in PROTOCOLS if each.name == name)


def psnr(difference: Array) -> float:
    return -10 * math.log10(np.mean(difference**2))


def liif_psnr(restored: Tensor, original: Tensor, shave: int) -> float:
    """PSNR of the luma of the difference, without the border."""
    red, green, blue = np.moveaxis((restored - original).double().numpy(), 1, 0)
    luma = (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    height, width = luma.shape[-2:]
    return psnr(luma[:, shave : height - shave, shave : width - shave])


def test_every_protocol_says_what_it_is() -> None:
    names = [each.name for each in PROTOCOLS]
    assert len(set(names)) == len(names)
    assert {"denoise-gray", "liif-benchmark"} <= set(names)
    assert all(each.summary and each.source for each in PROTOCOLS)


@given(
    height=st.integers(12, 20),
    width=st.integers(12, 20),
    scale=st.sampled_from((1.0, 2.0, 3.0, 4.0, 2.25, 3.6)),
    distance=st.floats(1e-3, 0.3),
)
def test_liif_benchmark_is_the_psnr_of_the_luma_of_the_difference(
    height: int, width: int, scale: float, distance: float
) -> None:
    original = torch.rand(1, 3, height, width)
    restored = (original + distance * torch.randn_like(original)).clamp(0, 1)
    expected = liif_psnr(restored, original, round(scale))
    assert protocol("liif-benchmark").score(restored, original, scale) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_liif_benchmark_leaves_out_as_many_pixels_as_the_scale(scale: int) -> None:
    original = torch.full((1, 3, 20, 21), 0.5)
    score = protocol("liif-benchmark").score
    wrong = original + 0.1
    inside = original.clone()
    inside[..., scale:-scale, scale:-scale] += 0.1
    assert score(inside, original, scale) == pytest.approx(score(wrong, original, scale))
    border = wrong - (inside - original)
    assert score(border, original, scale) == math.inf
    border[..., scale, scale] += 0.1  # the first pixel that counts
    assert score(border, original, scale) < math.inf


def test_liif_benchmark_rounds_nothing() -> None:
    original = torch.full((1, 3, 12, 12), 0.5)
    nearly = original + 0.2 / 255
    expected = -20 * math.log10(0.2 / 255 * (65.738 + 129.057 + 25.064) / 256)
    assert protocol("liif-benchmark").score(nearly, original, 2) == pytest.approx(expected, abs=1e-2)


def test_liif_benchmark_weighs_green_most() -> None:
    original = torch.full((1, 3, 12, 12), 0.5)
    scores = []
    for channel in range(3):
        off = original.clone()
        off[:, channel] += 0.1
        scores.append(protocol("liif-benchmark").score(off, original, 2))
    weights = [65.738 / 256, 129.057 / 256, 25.064 / 256]
    assert scores == pytest.approx([-20 * math.log10(0.1 * weight) for weight in weights], abs=1e-4)


def test_liif_benchmark_makes_no_input_and_keeps_color() -> None:
    assert protocol("liif-benchmark").degrade is None
    assert not protocol("liif-benchmark").gray


def noisy(original: Tensor, sigma: float) -> Any:
    """The input that denoise-gray makes."""
    degrade = protocol("denoise-gray").degrade
    assert degrade is not None
    return degrade(original, sigma)


@pytest.mark.parametrize("sigma", [0.0, 15.0, 25.0, 50.0])
def test_denoise_gray_adds_the_noise_of_seed_0_on_0_to_255_and_does_not_clip(sigma: float) -> None:
    original = torch.rand(1, 1, 40, 50)
    noise = torch.randn((1, 1, 40, 50), generator=torch.Generator().manual_seed(0)).double().numpy()
    expected = original.double().numpy() + noise * sigma / 255
    np.testing.assert_allclose(noisy(original, sigma).double().numpy(), expected, atol=1e-6)
    if sigma >= 25:
        assert noisy(original, sigma).min() < 0
        assert noisy(original, sigma).max() > 1


def test_denoise_gray_draws_the_same_noise_for_each_picture_whatever_was_drawn_before() -> None:
    original = torch.rand(1, 1, 9, 8)
    first = noisy(original, 25)
    torch.manual_seed(1234)
    torch.rand(7)
    assert torch.equal(noisy(original, 25), first)
    other = torch.rand(1, 1, 9, 8)
    torch.testing.assert_close(noisy(other, 25) - other, first - original, atol=1e-6, rtol=0)


def test_denoise_gray_leaves_the_state_of_random_numbers_and_the_original_alone() -> None:
    original = torch.rand(1, 1, 9, 8)
    kept, state = original.clone(), torch.random.get_rng_state()
    noisy(original, 25)
    assert torch.equal(original, kept)
    assert torch.equal(torch.random.get_rng_state(), state)


@given(height=st.integers(1, 12), width=st.integers(1, 12), distance=st.floats(0.01, 0.3))
def test_denoise_gray_rounds_the_output_to_8_bits_and_leaves_nothing_out(
    height: int, width: int, distance: float
) -> None:
    original = torch.randint(0, 256, (1, 1, height, width)) / 255
    restored = (original + distance + distance * torch.rand_like(original)).clamp(0, 1)
    levels = np.round(restored.double().numpy() * 255)
    difference = levels / 255 - original.double().numpy()
    score = protocol("denoise-gray").score(restored, original, 1.0)
    if difference.any():
        assert score == pytest.approx(psnr(difference), abs=1e-3)
    else:
        assert score > 100


def test_denoise_gray_sees_no_difference_below_half_a_level() -> None:
    original = torch.randint(0, 256, (1, 1, 20, 20)) / 255
    assert protocol("denoise-gray").score((original + 0.4 / 255).clamp(0, 1), original, 1.0) > 100
    assert protocol("denoise-gray").score((original + 0.6 / 255).clamp(0, 1), original, 1.0) < 50
    assert protocol("denoise-gray").gray
