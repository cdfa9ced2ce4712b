"""Attention across scales against its plain version, and against what can be said without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.nonlocal_blocks import patches
from toolbox.nonlocal_blocks.cross_scale import CrossScaleAttention
from toolbox.nonlocal_blocks.plain import cross_scale_attention
from toolbox.testing.measure import drawn


def attention(channels: int = 3, scales: tuple[int, ...] = (2,)) -> CrossScaleAttention:
    return drawn(CrossScaleAttention(channels, scales))


@contextmanager
def at_most(pairs: int) -> Iterator[None]:
    """Bands of that many pairs, and strips of two columns."""
    with patch.object(patches, "PAIRS_AT_A_TIME", pairs), patch.object(patches, "NARROWEST", 2):
        yield


def assert_equal(result: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9 * float(expected.detach().abs().max()))


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 13), st.integers(1, 13)),
    scales=st.lists(st.integers(2, 4), min_size=1, max_size=3, unique=True),
    at_a_time=st.sampled_from((1, 200, 1024)),
)
def test_any_size_and_scale_equals_the_plain_version(
    shape: tuple[int, int, int, int], scales: list[int], at_a_time: int
) -> None:
    block, features = attention(shape[1], tuple(scales)), torch.randn(shape, dtype=torch.float64)
    with at_most(at_a_time):
        assert_equal(block(features), cross_scale_attention(block, features))


@pytest.mark.parametrize("at_a_time", [1, 300, 1024])
def test_gradients_equal_the_plain_version_s(at_a_time: int) -> None:
    block, features = attention(), torch.randn(1, 3, 9, 8, dtype=torch.float64, requires_grad=True)
    tensors = [features, *block.parameters()]
    with at_most(at_a_time):
        ours = torch.autograd.grad(block(features).square().sum(), tensors)
    plain = torch.autograd.grad(cross_scale_attention(block, features).square().sum(), tensors)
    for gradient, expected in zip(ours, plain, strict=True):
        assert_equal(gradient, expected)


def test_high_scores_do_not_overflow() -> None:
    block, features = attention(4).float(), 1e4 * torch.randn(1, 4, 12, 12)
    result = block(features)
    expected = cross_scale_attention(block.double(), features.double()).float()
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_single_key_is_all_that_is_gathered() -> None:
    block, features = attention(2), torch.randn(1, 2, 2, 2, dtype=torch.float64)
    # Each of the four queries lays down the whole picture.
    assert_equal(block(features), block.shrink[0](block.value(features).repeat(1, 1, 2, 2)) / 6)


def test_scales_lie_side_by_side() -> None:
    both = attention(3, (2, 3))
    features = torch.randn(1, 3, 7, 8, dtype=torch.float64)
    alone = attention(3, (3,))
    alone.load_state_dict(
        {
            name.replace("shrink.1", "shrink.0"): tensor
            for name, tensor in both.state_dict().items()
            if not name.startswith("shrink.0")
        }
    )
    assert_equal(both(features)[:, 3:], alone(features))
