"""Correlated noise: as strong as asked for, and alike between neighbors and colors by as much as asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.choice import Choice
from toolbox.degradations.blur import gaussian_blur, gaussian_kernel
from toolbox.degradations.correlated_noise import CORRELATED_NOISE
from toolbox.degradations.spec import degraded_by


def noise(seed: int = 0, side: int = 128, **settings: Any) -> Tensor:
    clean = torch.full((3, side, side), 0.5)
    config = CORRELATED_NOISE.config.model_validate(settings)
    generator = torch.Generator().manual_seed(seed)
    noisy = degraded_by([Choice(CORRELATED_NOISE, config)], clean, 1.0, generator).picture
    return 255 * (noisy - clean)


@pytest.mark.parametrize("blur", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_it_is_as_strong_as_asked_for(blur: float, shared: float) -> None:
    found = noise(sigma=20, blur=blur, shared=shared)
    independent = found[0].numel() / (4 * math.pi * max(blur, 0.3) ** 2)  # values, about
    assert found.std().item() == pytest.approx(20, rel=4 / (2 * independent) ** 0.5)


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_colors_have_a_share_in_common(shared: float) -> None:
    found = noise(sigma=20, blur=0.3, shared=shared, side=256).flatten(1).numpy()
    assert np.corrcoef(found)[0, 1:] == pytest.approx([shared, shared], abs=0.02)


@pytest.mark.parametrize("blur", [0.6, 1.2])
def test_neighbors_are_alike_as_blurred_ones_are(blur: float) -> None:
    found = noise(sigma=20, blur=blur, shared=0.0, side=256)
    kernel = gaussian_kernel(blur)
    expected = (kernel[1:] * kernel[:-1]).sum() / kernel.square().sum()
    alike = (found[..., 1:] * found[..., :-1]).mean() / found.square().mean()
    assert alike.item() == pytest.approx(expected.item(), abs=0.03)


def test_all_that_is_drawn_comes_from_the_generator() -> None:
    state = torch.get_rng_state()
    assert torch.equal(noise(3, 16, sigma=[0, 20]), noise(3, 16, sigma=[0, 20]))
    assert not torch.equal(noise(3, 16, sigma=[0, 20]), noise(4, 16, sigma=[0, 20]))
    assert torch.equal(torch.get_rng_state(), state)


def test_no_noise_is_no_change() -> None:
    assert noise(sigma=0).abs().max() == 0


@given(st.floats(0.2, 4))
def test_a_kernel_has_the_sum_one_and_is_symmetric(deviation: float) -> None:
    kernel = gaussian_kernel(deviation)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(kernel, kernel.flip(0))


@given(st.integers(4, 12), st.integers(4, 12))
def test_a_blur_wraps_around_and_keeps_the_mean(height: int, width: int) -> None:
    picture = torch.rand(2, height, width)
    blurred = gaussian_blur(picture, 0.8)
    torch.testing.assert_close(blurred.mean((1, 2)), picture.mean((1, 2)))
    torch.testing.assert_close(gaussian_blur(picture.roll((1, 2), (1, 2)), 0.8), blurred.roll((1, 2), (1, 2)))
