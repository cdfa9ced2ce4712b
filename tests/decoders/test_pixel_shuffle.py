"""Sub-pixel convolution against its definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests import plain
from tests.parts import decoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


def shuffled(features: Tensor, factor: int) -> Tensor:
    """Channel c·f² + y·f + x of a pixel becomes channel c of its sub-pixel (y, x)."""
    batch, channels, height, width = features.shape
    result = features.new_empty(batch, channels // factor**2, factor * height, factor * width)
    for y in range(factor):
        for x in range(factor):
            result[:, :, y::factor, x::factor] = features[:, y * factor + x :: factor**2]
    return result


@pytest.mark.parametrize(("scale", "factors"), [(2, [2]), (3, [3]), (4, [2, 2]), (8, [2, 2, 2])])
def test_it_is_convolutions_and_shuffles_then_a_convolution(scale: int, factors: list[int]) -> None:
    decoder = decoder_of({"name": "pixel-shuffle", "scale": scale, "channels": 3}, features=4)
    features = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    expected = features
    convolutions = [module for module in decoder.upscale if isinstance(module, torch.nn.Conv2d)]
    for convolution, factor in zip(convolutions, factors, strict=True):
        expected = shuffled(plain.conv(expected, convolution), factor)
    result = decoder(features, (3 * scale, 5 * scale))
    torch.testing.assert_close(result, plain.conv(expected, decoder.conv))


def test_a_convolution_with_leaky_relu_may_come_first() -> None:
    spec = {"name": "pixel-shuffle", "scale": 2, "channels": 3, "first": 5}
    decoder = decoder_of(spec, features=4)
    features = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    before = plain.conv(features, decoder.first[0])
    before = torch.where(before < 0, 0.01 * before, before)
    expected = plain.conv(shuffled(plain.conv(before, decoder.upscale[0]), 2), decoder.conv)
    torch.testing.assert_close(decoder(features, (6, 10)), expected)
    assert farthest(lambda x: decoder(x, (12, 16)), torch.randn(1, 4, 6, 8, dtype=torch.float64)) == 3
    assert resolve({"channels": 2, "encoder": "identity", "decoder": spec}).decoder.config.receptive_field() == 3


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_pixel_sees_no_farther_than_declared(scale: int) -> None:
    spec = {"name": "pixel-shuffle", "scale": scale, "channels": 2}
    decoder = decoder_of(spec, features=3)
    features = torch.randn(1, 3, 6, 7, dtype=torch.float64)
    far = farthest(lambda x: decoder(x, (6 * scale, 7 * scale)), features)
    declared = resolve({"channels": 2, "encoder": "identity", "decoder": spec}).decoder.config.receptive_field()
    assert far == 2
    assert declared >= 2


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_it_accepts_its_own_scale_only(scale: int) -> None:
    spec = {"channels": 2, "encoder": "identity", "decoder": {"name": "pixel-shuffle", "scale": scale}}
    assert resolve(spec).decoder.config.sizes() == scale


@pytest.mark.parametrize("scale", [1, 5, 2.5, "two"])
def test_other_scales_are_refused_in_the_spec(scale: Any) -> None:
    spec = {"channels": 2, "encoder": "identity", "decoder": {"name": "pixel-shuffle", "scale": scale}}
    with pytest.raises(SpecError, match=rf"^decoder\.scale: got {scale!r}, expected 2, 3, 4 or 8$"):
        resolve(spec)
