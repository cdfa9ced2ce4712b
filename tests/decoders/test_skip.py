"""Interpolations of the global skip against loops over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toolbox.decoders.skip import REACH, resized
from toolbox.resize import resize
from toolbox.testing.measure import farthest

sides = st.integers(1, 9)


def bilinear_axis(values: Tensor, outputs: int) -> Tensor:
    """Resize the last axis: linear between pixel centers, constant beyond the outer two."""
    length = values.shape[-1]
    columns = []
    for i in range(outputs):
        center = min(max((i + 0.5) * length / outputs - 0.5, 0), length - 1)
        left, share = int(center), center - int(center)
        columns.append(values[..., left] * (1 - share) + values[..., min(left + 1, length - 1)] * share)
    return torch.stack(columns, -1)


@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides))
def test_bilinear_is_linear_between_centers_and_constant_beyond_them(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    image = torch.randn(2, 2, *shape, dtype=torch.float64)
    expected = bilinear_axis(bilinear_axis(image, size[1]).mT, size[0]).mT
    torch.testing.assert_close(resized(image, size, "bilinear"), expected)


@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides))
def test_nearest_is_the_pixel_that_covers_the_center(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = torch.arange(math.prod(shape), dtype=torch.float64).view(1, 1, *shape)
    picked = resized(image, size, "nearest")[0, 0].long()
    for axis, pixel in enumerate((picked // shape[1], picked % shape[1])):
        center = (torch.arange(size[axis]) + 0.5) * shape[axis] / size[axis]
        center = center[:, None] if axis == 0 else center
        # On the edge of two pixels, either.
        assert ((center - pixel - 0.5).abs() <= 0.5 + 1e-6).all()


@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides))
def test_bicubic_is_that_of_the_decoder(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = torch.randn(1, 3, *shape)
    assert torch.equal(resized(image, size, "bicubic"), resize(image, size))


@pytest.mark.parametrize("interpolation", sorted(REACH))
def test_the_same_size_is_exact(interpolation: str) -> None:
    image = torch.rand(1, 3, 7, 5)
    assert torch.equal(resized(image, (7, 5), interpolation), image)


@pytest.mark.parametrize("interpolation", sorted(REACH))
@pytest.mark.parametrize("size", [(14, 16), (21, 24), (17, 23)], ids=str)
def test_a_pixel_sees_as_far_as_told(interpolation: str, size: tuple[int, int]) -> None:
    image = torch.rand(1, 1, 7, 8, dtype=torch.float64)
    assert farthest(lambda x: resized(x, size, interpolation), image) == REACH[interpolation]
