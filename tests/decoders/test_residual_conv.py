"""NLRN's head against its formula."""

from __future__ import annotations

import pytest
import torch

from tests import plain
from tests.parts import decoder_of
from toolbox.resolve import resolve
from toolbox.testing.measure import farthest


@pytest.mark.parametrize("training", [False, True])
def test_it_is_batch_norm_relu_and_a_convolution(training: bool) -> None:
    decoder = decoder_of({"name": "residual-conv"}, features=3).train(training)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    normalized = plain.batch_norm(features, decoder.norm, training=training)
    torch.testing.assert_close(decoder(features, (4, 5)), plain.conv(plain.relu(normalized), decoder.conv))


def test_a_pixel_sees_as_far_as_declared() -> None:
    decoder = decoder_of({"name": "residual-conv"}, features=3)
    far = farthest(lambda x: decoder(x, (5, 6)), torch.randn(1, 3, 5, 6, dtype=torch.float64))
    config = resolve({"channels": 1, "encoder": "identity", "decoder": "residual-conv"}).decoder.config
    assert far == config.receptive_field() == 1


def test_it_keeps_the_size() -> None:
    config = resolve({"channels": 1, "encoder": "identity", "decoder": "residual-conv"}).decoder.config
    assert config.sizes() == "same"
