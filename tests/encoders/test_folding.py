"""A convolution in several parts against the one that it folds to."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.encoders.folding import ExpandedConv2d, folding_conv, in_parts
from toolbox.testing.measure import drawn

FEATURES = torch.randn(2, 3, 6, 5, dtype=torch.float64)


def test_its_parts_are_applied_to_an_image_that_is_padded_first() -> None:
    conv = drawn(ExpandedConv2d(3, 4, 2))

    def pointwise(part: nn.Conv2d, features: Tensor) -> Tensor:
        mixed = torch.einsum("oi,biyx->boyx", part.weight[:, :, 0, 0], features)
        return mixed + part.get_parameter("bias")[:, None, None]

    padded = F.pad(FEATURES, (1, 1, 1, 1))
    inner = F.conv2d(pointwise(conv.expand, padded), conv.conv.weight, conv.conv.bias)
    reduced, skipped = pointwise(conv.reduce, inner), pointwise(conv.skip, FEATURES)
    torch.testing.assert_close(conv(FEATURES), reduced + skipped)
    torch.testing.assert_close(in_parts(conv, FEATURES), reduced + skipped)


def test_its_folded_state_is_that_of_one_convolution() -> None:
    conv, folded = drawn(ExpandedConv2d(3, 4, 2)), folding_conv(3, 4, 2, "folded").double()
    folded.load_state_dict(conv.folded_state())
    assert isinstance(folded, nn.Conv2d)
    torch.testing.assert_close(folded(FEATURES), in_parts(conv, FEATURES))


@pytest.mark.parametrize("name", ["expand.weight", "conv.weight", "reduce.bias", "skip.weight"])
def test_gradients_are_those_of_the_parts(name: str) -> None:
    conv, gradients = drawn(ExpandedConv2d(3, 4, 2)), []
    for result in (conv(FEATURES), in_parts(conv, FEATURES)):
        conv.zero_grad()
        result.square().sum().backward()
        gradient = conv.get_parameter(name).grad
        assert gradient is not None
        gradients.append(gradient.clone())
    torch.testing.assert_close(*gradients)
