"""The encoder that does nothing."""

from __future__ import annotations

import torch

from tests.parts import encoder_of, encoder_radius
from toolbox.testing.measure import farthest


def test_the_features_are_the_image() -> None:
    image = torch.randn(2, 3, 4, 5)
    assert torch.equal(encoder_of({"name": "identity"}, channels=3)(image), image)


def test_it_keeps_the_channels_and_sees_one_pixel() -> None:
    encoder = encoder_of({"name": "identity"}, channels=3)
    assert encoder.out_channels == 3
    far = farthest(encoder, torch.randn(1, 3, 2, 3, dtype=torch.float64))
    assert far == encoder_radius("identity") == 0
