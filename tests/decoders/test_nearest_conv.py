"""Nearest interpolation and convolutions, against their definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests import plain
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


def leaky(features: Tensor, slope: float) -> Tensor:
    return torch.where(features < 0, slope * features, features)


def doubled(features: Tensor) -> Tensor:
    """Each pixel becomes four."""
    return features.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize("scale", [2, 4])
def test_it_doubles_and_convolves_then_convolves_twice(scale: int) -> None:
    decoder = decoder_of({"name": "nearest-conv", "scale": scale, "channels": 3}, features=4)
    features = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    expected = leaky(plain.conv(features, decoder.first), 0.01)
    assert len(decoder.enlarged) == scale // 2
    for convolution in decoder.enlarged:
        expected = leaky(plain.conv(doubled(expected), convolution), 0.2)
    expected = plain.conv(leaky(plain.conv(expected, decoder.fine), 0.2), decoder.last)
    torch.testing.assert_close(decoder(features, (3 * scale, 5 * scale)), expected)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_pixel_sees_three_feature_pixels_far(scale: int) -> None:
    decoder = decoder_of({"name": "nearest-conv", "scale": scale, "channels": 2}, features=3)
    features = torch.randn(1, 3, 8, 9, dtype=torch.float64)
    assert farthest(lambda x: decoder(x, (8 * scale, 9 * scale)), features) == 3


def test_other_scales_are_refused_in_the_spec() -> None:
    spec = {"channels": 2, "encoder": "identity", "decoder": {"name": "nearest-conv", "scale": 3}}
    with pytest.raises(SpecError, match=r"^decoder\.scale: got 3, expected 2 or 4$"):
        resolve(spec)
