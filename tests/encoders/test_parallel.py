"""Encoders in parallel: their features side by side, or summed."""

from __future__ import annotations

import pytest
import torch

from tests.parts import encoder_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve

NEAR, FAR = {"name": "edsr", "channels": 4, "blocks": 1}, {"name": "edsr", "channels": 4, "blocks": 3}


@pytest.mark.parametrize("join", ["concat", "sum"])
def test_all_see_the_image_and_their_features_are_joined(join: str) -> None:
    both = encoder_of({"name": "parallel", "encoders": [NEAR, FAR], "join": join})
    image = torch.rand(2, 2, 6, 5, dtype=torch.float64)
    first, second = (encoder(image) for encoder in both.encoders)
    torch.testing.assert_close(both(image), torch.cat((first, second), 1) if join == "concat" else first + second)


def test_it_sees_as_far_as_the_one_that_sees_farthest() -> None:
    spec = resolve({"channels": 2, "encoder": {"name": "parallel", "encoders": [NEAR, FAR]}, "decoder": "conv"})
    far = resolve({"channels": 2, "encoder": FAR, "decoder": "conv"})
    assert spec.encoder.config.receptive_field() == far.encoder.config.receptive_field()


def test_features_of_different_widths_cannot_be_summed() -> None:
    encoders = [NEAR, {**FAR, "channels": 5}]
    with pytest.raises(SpecError, match="parallel got encoders of 4 and 5 channels to sum; use concat"):
        resolve(
            {"channels": 2, "encoder": {"name": "parallel", "encoders": encoders, "join": "sum"}, "decoder": "conv"}
        )
