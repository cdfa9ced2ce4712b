"""One convolution as a head."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.parts import decoder_of


@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_it_is_one_convolution_with_zeros_beyond_the_border(side: int) -> None:
    decoder, features = (
        decoder_of({"name": "conv", "kernel_size": side}, 3),
        torch.rand(2, 3, 6, 5, dtype=torch.float64),
    )
    expected = F.conv2d(features, decoder.conv.weight, decoder.conv.bias, padding=side // 2)
    torch.testing.assert_close(decoder(features, (6, 5)), expected)
