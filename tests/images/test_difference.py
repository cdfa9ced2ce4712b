"""Where pictures differ most, and by how much."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.images.test_comparison import drawn
from toolbox.evaluation import metrics
from toolbox.images.difference import most_different, psnr


@pytest.mark.parametrize("height", [1, 256, 700])
def test_psnr_is_that_of_the_metrics(height: int) -> None:
    one, other = drawn(height, 5), drawn(height, 5, seed=1)
    expected = metrics.psnr(torch.from_numpy(one) / 255, torch.from_numpy(other) / 255)
    assert psnr(one, other) == pytest.approx(expected, abs=1e-4)
    assert psnr(one, one) == math.inf


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    window=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 99),
)
def test_the_window_is_the_one_of_most_squared_difference(
    shape: tuple[int, int], window: tuple[int, int], seed: int
) -> None:
    width, height = min(window[0], shape[1]), min(window[1], shape[0])
    pictures = [drawn(*shape, seed=seed + n) for n in range(3)]
    found = most_different(pictures, (width, height))
    stack = np.stack(pictures).astype(int)
    error = np.square(stack.max(0) - stack.min(0)).sum(-1)
    totals = {
        (left, top): error[top : top + height, left : left + width].sum()
        for top in range(shape[0] - height + 1)
        for left in range(shape[1] - width + 1)
    }
    assert found in totals
    assert totals[found] == max(totals.values())  # of larger windows only some are tried


def test_of_places_that_are_alike_it_is_the_one_with_the_most_edges() -> None:
    noise = np.random.default_rng(0).normal(0, 20, (200, 200, 1))
    clean = np.full((200, 200, 1), 100.0)
    clean[120:160, 40:80] += 60 * (np.indices((40, 40)).sum(0)[..., None] // 4 % 2)
    left, top = most_different([clean, clean + noise], (48, 48), alike=0.1)
    assert abs(left - 36) <= 8
    assert abs(top - 116) <= 8
