"""Convolutions as a head."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.parts import decoder_of
from toolbox.resolve import resolve


@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_it_is_one_convolution_with_zeros_beyond_the_border(side: int) -> None:
    decoder, features = (
        decoder_of({"name": "conv", "kernel_size": side}, 3),
        torch.rand(2, 3, 6, 5, dtype=torch.float64),
    )
    expected = F.conv2d(features, decoder.conv.weight, decoder.conv.bias, padding=side // 2)
    torch.testing.assert_close(decoder(features, (6, 5)), expected)


def test_a_relu_and_more_convolutions_may_come_before_it() -> None:
    decoder = decoder_of({"name": "conv", "hidden": [5, 4], "relu": True}, 3)
    features = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    expected = features
    for conv in [*(layer for layer in decoder.hidden if isinstance(layer, torch.nn.Conv2d)), decoder.conv]:
        expected = F.conv2d(expected.clamp(min=0), conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(decoder(features, (6, 5)), expected)


def test_without_the_first_relu_the_features_keep_their_sign() -> None:
    decoder = decoder_of({"name": "conv", "hidden": [5]}, 3)
    features = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    inner = F.conv2d(features, decoder.hidden[0].weight, decoder.hidden[0].bias, padding=1).clamp(min=0)
    expected = F.conv2d(inner, decoder.conv.weight, decoder.conv.bias, padding=1)
    torch.testing.assert_close(decoder(features, (6, 5)), expected)


def test_it_sees_as_far_as_all_its_convolutions() -> None:
    decoder = {"name": "conv", "hidden": [4, 4], "kernel_size": 5}
    assert resolve({"channels": 2, "encoder": "identity", "decoder": decoder}).decoder.config.receptive_field() == 6
