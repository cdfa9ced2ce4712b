"""The plainest head against its formula."""

from __future__ import annotations

import torch

from tests import plain
from tests.parts import decoder_of
from toolbox.restorer import resolve
from toolbox.testing.measure import farthest


def test_it_is_a_convolution() -> None:
    decoder = decoder_of({"name": "conv"}, features=3)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, (4, 5)), plain.conv(features, decoder.conv))


def test_a_pixel_sees_as_far_as_declared() -> None:
    decoder = decoder_of({"name": "conv"}, features=3)
    far = farthest(lambda x: decoder(x, (5, 6)), torch.randn(1, 3, 5, 6, dtype=torch.float64))
    config = resolve({"channels": 1, "encoder": "identity", "decoder": "conv"}).decoder.config
    assert far == config.receptive_field() == 1
    assert config.sizes() == "same"


def test_no_picture_of_a_batch_depends_on_another() -> None:
    decoder = decoder_of({"name": "conv"}, features=3).train()
    features = torch.randn(3, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(decoder(features, (4, 5))[1:2], decoder(features[1:2], (4, 5)))
