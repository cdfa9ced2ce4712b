"""A stack of convolutions, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toolbox
from tests.parts import encoder_of, encoder_radius
from toolbox.errors import SpecError
from toolbox.resolve import resolve

IMAGE = torch.randn(2, 2, 6, 5, dtype=torch.float64)


def convolved(image: Tensor, conv: torch.nn.Conv2d) -> Tensor:
    return F.conv2d(image, conv.weight, conv.bias, padding=conv.kernel_size[0] // 2)


def test_an_activation_follows_each_convolution() -> None:
    encoder = encoder_of({"name": "convolutions", "channels": [5, 4], "kernel_sizes": [5, 1], "activation": "prelu"})
    first, slope, second, other = encoder.layers
    inner = convolved(IMAGE, first)
    inner = torch.where(inner > 0, inner, slope.weight * inner)
    expected = convolved(inner, second)
    expected = torch.where(expected > 0, expected, other.weight * expected)
    assert slope.weight.shape == (1,)
    assert first.kernel_size == (5, 5)
    torch.testing.assert_close(encoder(IMAGE), expected)


def test_or_comes_before_it() -> None:
    encoder = encoder_of({"name": "convolutions", "channels": [5, 4], "activate": "before"})
    expected = convolved(convolved(IMAGE.clamp(min=0), encoder.layers[1]).clamp(min=0), encoder.layers[3])
    torch.testing.assert_close(encoder(IMAGE), expected)


@pytest.mark.parametrize(("settings", "slope"), [({}, 0.2), ({"slope": 0.25}, 0.25)])
def test_slopes_begin_where_the_settings_say(settings: dict[str, object], slope: float) -> None:
    spec = {"name": "convolutions", "channels": [2], "activation": "prelu", **settings}
    encoder = toolbox.build({"channels": 2, "encoder": spec, "decoder": "features"}).encoder
    torch.testing.assert_close(encoder.layers[1].weight.detach(), torch.tensor([slope]))


@pytest.mark.parametrize(("sizes", "radius"), [([], 3), ([1], 2), ([7, 1], 4), ([1, 1, 1], 0)])
def test_kernels_that_are_not_named_have_three_pixels(sizes: list[int], radius: int) -> None:
    assert encoder_radius({"name": "convolutions", "channels": [4, 4, 4], "kernel_sizes": sizes}) == radius


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": []}, r"^encoder\.channels: got \[\], expected "),
        ({"channels": [0]}, r"^encoder\.channels\.0: got 0, expected greater than 0"),
        ({"channels": [4], "kernel_sizes": [2]}, r"^encoder\.kernel_sizes\.0: got 2, expected 1, 3, 5 or 7"),
        ({"channels": [4], "kernel_sizes": [1, 3]}, r"^encoder\.kernel_sizes: got 2 sizes for 1 convolution"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve({"channels": 2, "encoder": {"name": "convolutions", **settings}, "decoder": "conv"})
