"""Bicubic interpolation against its kernel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import plain
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resize import resize
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest

sizes = st.integers(1, 9)
factors = st.integers(1, 13)


@given(height=sizes, width=sizes, more=st.tuples(factors, factors))
def test_enlarging_is_the_cubic_of_minus_three_quarters_on_clamped_borders(
    height: int, width: int, more: tuple[int, int]
) -> None:
    image = torch.randn(2, 2, height, width, dtype=torch.float64)
    size = height + more[0], width + more[1]
    torch.testing.assert_close(resize(image, size), plain.bicubic(image, size, antialias=False))


@given(height=st.integers(2, 14), width=st.integers(3, 14), less=st.tuples(factors, factors))
def test_shrinking_widens_the_cubic_of_minus_a_half(height: int, width: int, less: tuple[int, int]) -> None:
    image = torch.randn(2, 2, height, width, dtype=torch.float64)
    size = max(1, height - less[0]), max(2, width - less[1])
    torch.testing.assert_close(resize(image, size), plain.bicubic(image, size, antialias=True))


@given(height=sizes, width=sizes)
def test_the_same_size_is_the_same_image(height: int, width: int) -> None:
    image = torch.randn(1, 2, height, width)
    assert torch.equal(resize(image, (height, width)), image)


@given(size=st.tuples(factors, factors))
def test_a_constant_stays_one_at_any_size(size: tuple[int, int]) -> None:
    resized = resize(torch.full((1, 1, 4, 5), 0.7, dtype=torch.float64), size)
    torch.testing.assert_close(resized, torch.full((1, 1, *size), 0.7, dtype=torch.float64))


def test_the_decoder_is_the_resize() -> None:
    features = torch.randn(1, 2, 4, 5)
    decoder = decoder_of({"name": "bicubic"}, features=2)
    assert torch.equal(decoder(features, (9, 3)), resize(features, (9, 3)))


def test_an_enlarged_pixel_sees_as_far_as_declared() -> None:
    for scale in ((2.0, 2.0), (3.0, 1.5), (1.0, 4.0)):
        size = int(7 * scale[0]), int(8 * scale[1])
        far = farthest(lambda x, to=size: resize(x, to), torch.randn(1, 1, 7, 8, dtype=torch.float64))  # type: ignore[misc]
        assert far == 2
    decoder = resolve({"channels": 1, "encoder": "identity", "decoder": "bicubic"}).decoder
    assert decoder.config.receptive_field() == 2


def test_features_that_are_no_image_are_refused_in_the_spec() -> None:
    expected = (
        r"^decoder: bicubic got 64 channels, expected an image of 3; use encoder identity "
        r"\(encoder 'rdn' gives 64 channels\)$"
    )
    with pytest.raises(SpecError, match=expected):
        resolve({"channels": 3, "encoder": "rdn", "decoder": "bicubic"})
