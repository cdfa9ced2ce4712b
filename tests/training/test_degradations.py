"""Noise and reduction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests import plain
from toolbox.training.degradations import add_noise, reduce_bicubic


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_has_the_standard_deviation_asked_for_and_no_mean(sigma: float) -> None:
    clean = torch.rand(4, 1, 128, 128)
    noise = 255 * (add_noise(clean, sigma, generator(1)) - clean)
    count = noise.numel()
    assert noise.std().item() == pytest.approx(sigma, rel=4 / (2 * count) ** 0.5)
    assert abs(noise.mean().item()) < 4 * sigma / count**0.5


def test_noise_is_gaussian_and_not_clipped() -> None:
    noisy = add_noise(torch.ones(1, 1, 256, 256), 25, generator(0))
    noise = (noisy - 1) * 255 / 25
    within = [(noise.abs() < deviations).double().mean().item() for deviations in (1, 2, 3)]
    assert within == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.01)
    assert noisy.max() > 1.2


def test_noise_depends_on_the_seed_alone() -> None:
    clean = torch.rand(1, 3, 4, 5)
    assert torch.equal(add_noise(clean, 25, generator(3)), add_noise(clean, 25, generator(3)))
    assert not torch.equal(add_noise(clean, 25, generator(3)), add_noise(clean, 25, generator(4)))
    moved = add_noise(clean + 0.5, 25, generator(3)) - 0.5
    torch.testing.assert_close(moved, add_noise(clean, 25, generator(3)))


def test_noise_is_that_of_the_generator_on_the_scale_of_eight_bits() -> None:
    clean = torch.rand(2, 1, 4, 5)
    expected = clean + 25 / 255 * torch.randn(2, 1, 4, 5, generator=generator(7))
    torch.testing.assert_close(add_noise(clean, 25, generator(7)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_leaves_the_type_and_the_image_as_they_were(dtype: torch.dtype) -> None:
    clean = torch.rand(1, 3, 4, 5, dtype=dtype)
    before = clean.clone()
    assert add_noise(clean, 25, generator(0)).dtype == dtype
    assert torch.equal(clean, before)


def test_no_noise_is_no_change() -> None:
    clean = torch.rand(1, 3, 4, 5)
    assert torch.equal(add_noise(clean, 0, generator(0)), clean)


@given(height=st.integers(3, 20), width=st.integers(3, 20), size=st.tuples(st.integers(2, 20), st.integers(2, 20)))
def test_reduced_values_are_those_of_eight_bits(height: int, width: int, size: tuple[int, int]) -> None:
    image = (torch.rand(2, 3, height, width, dtype=torch.float64) > 0.5).double()  # overshoots by far
    small = reduce_bicubic(image, size)
    assert small.shape == (2, 3, *size)
    levels = small * 255
    torch.testing.assert_close(levels, levels.round())
    assert 0 <= small.min() <= small.max() <= 1


@given(height=st.integers(3, 20), width=st.integers(3, 20), less=st.tuples(st.integers(0, 18), st.integers(0, 18)))
def test_reducing_is_the_widened_cubic_of_minus_a_half(height: int, width: int, less: tuple[int, int]) -> None:
    image = 0.2 + 0.6 * torch.rand(1, 2, height, width, dtype=torch.float64)
    size = max(1, height - less[0]), max(2, width - less[1])
    exact = 255 * plain.bicubic(image, size, antialias=True).clamp(0, 1)
    levels = 255 * reduce_bicubic(image, size)
    assert (levels - exact).abs().max() <= 0.5 + 1e-6


def test_reducing_agrees_with_pillow() -> None:
    image = torch.rand(1, 1, 24, 30)
    pillow = Image.fromarray(image[0, 0].numpy()).resize((11, 7), Image.Resampling.BICUBIC)
    expected = np.asarray(pillow).clip(0, 1)
    assert np.abs(reduce_bicubic(image, (7, 11))[0, 0].numpy() - expected).max() <= 0.5 / 255 + 1e-6


def test_a_constant_stays_one() -> None:
    image = torch.full((1, 3, 12, 12), 77 / 255, dtype=torch.float64)
    torch.testing.assert_close(reduce_bicubic(image, (5, 7)), torch.full((1, 3, 5, 7), 77 / 255, dtype=torch.float64))
